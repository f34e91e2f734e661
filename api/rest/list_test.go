package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
)

func TestCollectionsHaveTheirShape(t *testing.T) {
	stories(t, func(s *server) {
		a := s.get("/v1/Containers?name=web").is(200)
		a.has(map[string]string{
			"type": `"collection"`, "resourceType": `"container"`, "links": `{"self":"http://h/v1/Containers"}`, "createTypes": "{}", "actions": "{}",
			"createDefaults": "{}", "data": "[]", "sort": "null", "sortLinks.created": `"http://h/v1/Containers?name=web\u0026sort=created"`,
			"pagination":   `{"first":null,"limit":100,"next":null,"partial":false,"previous":null,"total":null}`,
			"filters.name": `[{"modifier":"eq","value":"web"}]`, "filters.uuid": "null"})
		s.get("/v1/instances").has(map[string]string{"createTypes": `{"container":"http://h/v1/containers","virtualMachine":"http://h/v1/virtualmachines"}`})
		s.get("/v1/schemas?limit=2").has(map[string]string{"pagination": "null", "filters": "{}"})
		s.get("/v1/subscribe").has(map[string]string{"data": "[]", "resourceType": `"subscribe"`})
		if a := s.get("/v1/hosts?sort=name&order=desc"); a.str("sort.reverse") != "http://h/v1/hosts?sort=name&order=asc" || a.str("sort.order") != "desc" {
			t.Errorf("sorted by %v", a.at("sort"))
		}
	})
}

func TestPages(t *testing.T) {
	stories(t, func(s *server) {
		err := s.store.Write(t.Context(), "test", func(tx *store.Tx) error {
			for i := range 1010 {
				row := store.NewRow(resource.All.Type("host"), 1400000000000, map[string]any{"name": fmt.Sprintf("h%04d", i), "kind": "sim", "state": "active"})
				if err := tx.Insert(t.Context(), row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for limit, want := range map[string]int{"": 100, "?limit=105": 105, "?limit=1005": 1000, "?limit=x": 100, "?limit=0": 100, "?limit=-3": 100} {
			a := s.get("/v1/hosts" + limit)
			if n := len(a.ids()); n != want || a.at("pagination.limit") != float64(want) || a.at("pagination.partial") != true {
				t.Errorf("%s gave %d hosts: %v", limit, n, a.at("pagination"))
			}
		}
		for _, query := range []string{"?limit=300", "?limit=300&sort=name&order=desc", "?limit=333&sort=created", "?limit=300&name_like=h%25"} {
			var seen []string
			for url := "/v1/hosts" + query; url != ""; {
				a := s.get(url).is(200)
				seen = append(seen, a.ids()...)
				next, _ := a.at("pagination.next").(string)
				url = strings.TrimPrefix(next, "http://h")
			}
			if len(seen) != 1010 || len(slices.Compact(slices.Sorted(slices.Values(seen)))) != 1010 {
				t.Errorf("%s: the pages held %d hosts", query, len(seen))
			}
		}
		for _, marker := range []string{"x", "m100", "mi!", "meyJ2IjoiYSIsImkiOjF9", "meyJ2Ijp7fSwiaSI6MX0"} {
			s.get("/v1/hosts?limit=1&sort=created&marker=" + marker).is(200)
		}
	})
}

func TestFilters(t *testing.T) {
	stories(t, func(s *server) {
		a := s.row("host", map[string]any{"name": "alpha", "description": "x_y", "kind": "sim", "state": "active", "uuid": "u1"})
		b := s.row("host", map[string]any{"name": "beta", "kind": "sim", "state": "inactive", "isPublic": true})
		c := s.row("host", map[string]any{"kind": "docker", "state": "active", "description": "xzy", "physicalHostId": int64(7), "computeFree": int64(5)})
		id := func(n int64) string { return fmt.Sprintf("1h%d", n) }
		for query, want := range map[string][]string{
			"name=alpha":                             {id(a)},
			"name_eq=alpha":                          {id(a)},
			"name_ne=alpha":                          {id(b)},
			"name_like=%25a":                         {id(a), id(b)},
			"name_like=a%25&name_like=%25a":          {id(a)},
			"name_like=%25a&name_ne=alpha":           {id(b)},
			"name_notlike=al%25":                     {id(b)},
			"name_prefix=be":                         {id(b)},
			"name_like=A%25":                         nil,
			"name_notlike=A%25":                      {id(a), id(b)},
			"name_prefix=AL":                         nil,
			"description_like=x_y":                   {id(a), id(c)},
			"description_like=x%5C_y":                {id(a)},
			"description_notlike=x%5C_y":             {id(c)},
			"description_prefix=x_":                  {id(a), id(c)},
			"description_prefix=x%5C_":               {id(a)},
			"name_null":                              {id(c)},
			"name_notnull=true":                      {id(a), id(b)},
			"state=active&kind=sim":                  {id(a)},
			"isPublic=True":                          {id(b)},
			"isPublic=false":                         {id(a), id(c)},
			"isPublic=maybe":                         nil,
			"physicalHostId=1ph7":                    {id(c)},
			"physicalHostId=7":                       nil,
			"physicalHostId=x7":                      nil,
			"computeFree_lt=10":                      {id(c)},
			"computeFree_gte=10":                     {id(a), id(b)},
			"computeFree=abc":                        nil,
			"id=" + id(b):                            {id(b)},
			fmt.Sprintf("id=%d", b):                  {id(b)},
			"created_lt=2015-01-01T00:00:00Z":        {id(a), id(b), id(c)},
			"created_gt=1400000000001":               nil,
			"created=2014-05-13T16:53:20Z":           {id(a), id(b), id(c)},
			"uuid=u1":                                {id(a)},
			"nothing=1":                              {id(a), id(b), id(c)},
			"name_gt=a":                              {id(a), id(b), id(c)},
			"Name=alpha":                             {id(a), id(b), id(c)},
			"zoneId=1z9":                             {id(a), id(b), id(c)},
			"removed_null":                           {id(a), id(b), id(c)},
			"name_like=%5C":                          nil,
			"name=%00":                               nil,
			"name=%ff":                               nil,
			"sort=name&order=desc&name_notnull":      {id(b), id(a)},
			"sort=nothing&name_notnull":              {id(a), id(b)},
			"computeFree=99999999999999999999999999": nil,
		} {
			if got := s.get("/v1/hosts?" + query).is(200).ids(); !slices.Equal(got, want) {
				t.Errorf("%s found %v instead of %v", query, got, want)
			}
		}
		s.get("/v1/hosts?physicalHostId=1ph7").has(map[string]string{"filters.physicalHostId": `[{"modifier":"eq","value":"7"}]`})
		s.get("/v1/hosts?name_null=x").has(map[string]string{"filters.name": `[{"modifier":"null","value":null}]`})
	})
}

// A date is shown in whole seconds and kept in milliseconds: its text stands for the whole
// second. The number beside it, or a fraction, names one millisecond.
func TestTheTextOfADateFindsItsRow(t *testing.T) {
	stories(t, func(s *server) {
		before := s.row("host", map[string]any{"created": int64(1400000000999)})
		at := s.row("host", map[string]any{"created": int64(1400000001345)})
		after := s.row("host", map[string]any{"created": int64(1400000002000)})
		_ = s.row("host", map[string]any{"removeTime": int64(4100000000500)})
		id := func(n int64) string { return fmt.Sprintf("1h%d", n) }
		shown := s.get("/v1/hosts/" + id(at)).is(200).str("created")
		for query, want := range map[string][]string{
			"created=" + shown:                    {id(at)},
			"created_eq=" + shown:                 {id(at)},
			"created_ne=" + shown:                 {id(before), id(after)},
			"created_lt=" + shown:                 {id(before)},
			"created_lte=" + shown:                {id(before), id(at)},
			"created_gt=" + shown:                 {id(after)},
			"created_gte=" + shown:                {id(at), id(after)},
			"created=1400000001345":               {id(at)},
			"created=1400000001344":               nil,
			"created=2014-05-13T16:53:21.345Z":    {id(at)},
			"created=2014-05-13T16:53:21.344Z":    nil,
			"created_gt=2014-05-13T16:53:21.345Z": {id(after)},
		} {
			if got := s.get("/v1/hosts?removeTime_null&" + query).is(200).ids(); !slices.Equal(got, want) {
				t.Errorf("%s found %v instead of %v", query, got, want)
			}
		}
		if got := s.get("/v1/hosts?removeTime_ne=2020-01-01T00:00:00Z").is(200).ids(); len(got) != 1 {
			t.Errorf("another date than one is what is null as well: %v", got)
		}
	})
}

func TestRowsThatAreHidden(t *testing.T) {
	stories(t, func(s *server) {
		now, err := s.store.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		row := func(removed, until any) string {
			return fmt.Sprintf("1h%d", s.row("host", map[string]any{"state": "removed", "removed": removed, "removeTime": until}))
		}
		fresh := row(now-10_000, now+60_000)
		old := row(now-400_000, now+60_000)
		over := row(now-10_000, now-1)
		if got := s.get("/v1/hosts").ids(); !slices.Equal(got, []string{fresh}) {
			t.Errorf("listed are %v", got)
		}
		for _, id := range []string{fresh, old, over} {
			a := s.get("/v1/hosts/" + id).is(200)
			if _, ok := a.at("removedTS").(float64); !ok || a.at("removed") == nil {
				t.Errorf("%s hides when it was removed", id)
			}
		}
		if got := s.get("/v1/hosts?removed_null").ids(); len(got) != 0 {
			t.Errorf("not removed are %v", got)
		}
		// A link to one resource goes by the same rule, and so does what only one may have; by its
		// id a row may be referred to for as long as there is one.
		for _, id := range []string{fresh, old, over} {
			made := s.make("/v1/storagepoolhostmaps", `{"hostId":"`+id+`"}`)
			at := strings.TrimPrefix(made.str("links.host"), "http://h")
			if code := s.get(at).code; (code == 200) != (id == fresh) || code != 200 && code != 404 {
				t.Errorf("the link to %s answers %d", id, code)
			}
		}
		s.row("agent", map[string]any{"state": "removed", "uri": "sim://fresh", "removed": now - 10_000, "removeTime": now + 60_000})
		s.row("agent", map[string]any{"state": "removed", "uri": "sim://old", "removed": now - 400_000, "removeTime": now + 60_000})
		s.post("/v1/agents", `{"uri":"sim://fresh"}`).fails(422, "NotUnique", "uri")
		s.make("/v1/agents", `{"uri":"sim://old"}`)
		s.settings.SetDatabase(map[string]string{"api.show.removed.for.seconds": "0"})
		if got := s.get("/v1/hosts").ids(); len(got) != 0 {
			t.Errorf("listed although nothing removed is shown are %v", got)
		}
		s.settings.SetDatabase(map[string]string{"account.type.admin.removed.visible": "true"})
		if got := s.get("/v1/hosts").ids(); len(got) < 1 {
			t.Errorf("listed are %v", got)
		}
	})
}

func TestSubTypesAreListedByThemselves(t *testing.T) {
	stories(t, func(s *server) {
		c := s.row("container", map[string]any{"kind": "container", "state": "running"})
		vm := s.row("virtualMachine", map[string]any{"kind": "virtualMachine", "state": "running"})
		s.row("credential", map[string]any{"kind": "usernamePassword", "state": "active"})
		if got := s.get("/v1/containers").ids(); !slices.Equal(got, []string{fmt.Sprintf("1i%d", c)}) {
			t.Errorf("containers are %v", got)
		}
		a := s.get("/v1/instances").has(map[string]string{"data.0.type": `"container"`, "data.1.type": `"virtualMachine"`})
		if a.str("data.1.links.self") != fmt.Sprintf("http://h/v1/virtualmachines/1i%d", vm) {
			t.Errorf("the machine is at %s", a.str("data.1.links.self"))
		}
		s.get(fmt.Sprintf("/v1/virtualmachines/1i%d", c)).is(404)
		s.get(fmt.Sprintf("/v1/instances/1i%d", c)).is(200).has(map[string]string{"type": `"container"`})
		s.get("/v1/credentials").has(map[string]string{"data.0.type": `"credential"`, "data.0.kind": `"usernamePassword"`})
	})
}

func TestLinks(t *testing.T) {
	stories(t, func(s *server) {
		image := s.row("image", map[string]any{"state": "active", "uuid": "sim:x"})
		host := s.row("host", map[string]any{"state": "active", "accountId": int64(1)})
		c := s.row("container", map[string]any{"state": "running", "imageId": image, "accountId": int64(1)})
		s.row("instanceHostMap", map[string]any{"state": "active", "instanceId": c, "hostId": host})
		other := s.row("host", map[string]any{"state": "active"})
		s.row("instanceHostMap", map[string]any{"state": "removed", "removed": int64(1), "instanceId": c, "hostId": other})
		self := fmt.Sprintf("/v1/containers/1i%d", c)
		a := s.get(self).has(map[string]string{"links.image": fmt.Sprintf(`"http://h%s/image"`, self),
			"links.instanceHostMaps": fmt.Sprintf(`"http://h%s/instancehostmaps"`, self), "links.agent": "null", "links.zone": "null", "links.targetInstanceLinks": fmt.Sprintf(`"http://h%s/targetinstancelinks"`, self)})
		if a.str("imageId") != fmt.Sprintf("1i%d", image) {
			t.Errorf("the image is %s", a.str("imageId"))
		}
		s.get(self + "/image").is(200).has(map[string]string{"type": `"image"`})
		s.get(self + "/agent").is(404)
		s.get(self + "/instanceHostMaps").is(200).has(map[string]string{"pagination": "null", "links.self": fmt.Sprintf(`"http://h%s/instanceHostMaps"`, self),
			"createDefaults": fmt.Sprintf(`{"instanceId":"1i%d"}`, c)})
		hosts := s.get(self + "/hosts").is(200).has(map[string]string{"pagination.limit": "100", "resourceType": `"host"`})
		if got := hosts.ids(); !slices.Equal(got, []string{fmt.Sprintf("1h%d", host)}) {
			t.Errorf("the hosts are %v", got)
		}
		s.get("/v1/accounts/1a1/instances").is(200).has(map[string]string{"data.0.type": `"container"`, "createDefaults": "{}"})
		// A child is made below its parent.
		made := s.make("/v1/accounts/1a1/credentials", `{"kind":"apiKey"}`)
		made.has(map[string]string{"accountId": `"1a1"`, "type": `"apiKey"`})
		net := s.row("network", map[string]any{"state": "active"})
		s.make(fmt.Sprintf("/v1/networks/1n%d/subnets", net), `{"networkAddress":"10.0.0.0"}`).has(map[string]string{"networkId": fmt.Sprintf(`"1n%d"`, net), "cidrSize": "24"})
		s.post(self+"/image", "{}").is(405)
		s.post(self+"/hosts", "{}").is(405)
	})
}

func TestIncludes(t *testing.T) {
	stories(t, func(s *server) {
		image := s.row("image", map[string]any{"state": "active"})
		bare := s.row("host", map[string]any{"state": "active", "name": "a"})
		busy := s.row("host", map[string]any{"state": "active", "name": "b"})
		now, err := s.store.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left := func(c, host int64) { // what is removed is still listed for a while, but holds no more
			s.row("instanceHostMap", map[string]any{"state": "removed", "removed": now, "instanceId": c, "hostId": host})
		}
		for range 5 {
			c := s.row("container", map[string]any{"state": "running", "imageId": image})
			s.row("instanceHostMap", map[string]any{"state": "active", "instanceId": c, "hostId": busy})
			left(c, bare)
		}
		if n := len(s.get(fmt.Sprintf("/v1/hosts/1h%d/instancehostmaps", bare)).ids()); n != 5 {
			t.Errorf("%d removed maps are listed", n)
		}
		a := s.get("/v1/hosts?include=instancehostmaps&include=nothing&include=physicalHost").is(200)
		if _, ok := a.at("data.0").(map[string]any)["instanceHostMaps"]; ok {
			t.Error("an empty relation is there")
		}
		if n := len(a.at("data.1.instanceHostMaps").([]any)); n != 5 {
			t.Errorf("%d maps are included", n)
		}
		a.has(map[string]string{"data.1.instanceHostMaps.0.transitioning": `"no"`, "data.1.instanceHostMaps.0.type": `"instanceHostMap"`})
		// The limit counts joined rows, and the pages together have all.
		maps, pages := map[string]bool{}, 0
		for url := "/v1/hosts?include=instanceHostMaps&limit=2"; url != ""; pages++ {
			a := s.get(url).is(200)
			found := 0
			for _, h := range a.at("data").([]any) {
				list, _ := h.(map[string]any)["instanceHostMaps"].([]any)
				found += len(list)
				for _, m := range list {
					maps[m.(map[string]any)["id"].(string)] = true
				}
			}
			if found > 2 {
				t.Fatalf("a page has %d maps", found)
			}
			next, _ := a.at("pagination.next").(string)
			url = strings.TrimPrefix(next, "http://h")
		}
		if len(maps) != 5 || pages != 3 {
			t.Errorf("%d pages had %d maps", pages, len(maps))
		}
		c := s.get("/v1/containers?include=image&include=hosts&limit=1")
		c.has(map[string]string{"data.0.image.type": `"image"`, "data.0.hosts.0.name": `"b"`})
		// Many rows are followed at once, with the same outcome.
		twice := s.row("container", map[string]any{"state": "running", "imageId": image})
		for _, host := range []int64{bare, busy, busy} {
			s.row("instanceHostMap", map[string]any{"state": "active", "instanceId": twice, "hostId": host})
		}
		all := s.get("/v1/containers?include=hosts&include=image&include=instanceHostMaps&include=volumes").is(200)
		for i := range 6 {
			want := map[bool]int{false: 1, true: 3}[i == 5]
			if n := len(all.at(fmt.Sprintf("data.%d.instanceHostMaps", i)).([]any)); n != want {
				t.Errorf("container %d has %d maps", i, n)
			}
		}
		all.has(map[string]string{"data.5.hosts.0.name": `"a"`, "data.5.hosts.1.name": `"b"`, "data.0.hosts.0.name": `"b"`, "data.0.volumes": "null", "data.0.image.type": `"image"`})
		bareOne := s.get(fmt.Sprintf("/v1/hosts/1h%d?include=instanceHostMaps", bare)).is(200)
		if n := len(bareOne.at("instanceHostMaps").([]any)); n != 1 {
			t.Errorf("by id %d maps of a host are included", n)
		}
		one := s.get(fmt.Sprintf("/v1/hosts/1h%d?include=instances", busy)).is(200)
		if n := len(one.at("instances").([]any)); n != 6 {
			t.Errorf("by id %d instances are included", n)
		}
		s.get(fmt.Sprintf("/v1/hosts/1h%d?include=volumes&include=agent", bare)).has(map[string]string{"volumes": "null", "agent": "null"})
	})
}
