package config

// Group is settings of other releases that have nothing to do here.
type Group struct {
	Why      string // what does their work
	Settings map[string]string
}

// Kept are settings that files and clients may name, with their old defaults. They can be
// read and set, and nothing reads them.
var Kept = []Group{
	{"The work of a process is written with every commit of it, and by nobody beside it.", map[string]string{
		"process.log.save.interval.ms": "5000",
	}},
	{"Standard processes are declared with their types: these say what they are.", map[string]string{
		"generic.resource.process.0": "%s.create;requested;registering;inactive;%s.activate",
		"generic.resource.process.1": "%s.activate;inactive,registering;activating;active",
		"generic.resource.process.2": "%s.deactivate;active,activating,updating-active,updating-inactive;deactivating;inactive;%s.remove",
		"generic.resource.process.3": "%s.remove;requested,inactive,activating,deactivating,registering,updating-active,updating-inactive;removing;removed",
		"generic.resource.process.4": "%s.purge;removed;purging;purged",
		"generic.resource.process.5": "%s.update;inactive,active;inactive=updating-inactive,active=updating-active;updating-inactive=inactive,updating-active=active",
		"generic.resource.process.6": "%s.restore;removed;restoring;inactive",
	}},
	{"Placement is a step of the process, and takes a host by comparing what it has left: it fails by itself, and waits for no lock.", map[string]string{
		"allocator.fail.not.handled": "true",
		"simple.allocator.lock.wait": "2500",
	}},
	{"One statement writes what is known of an item, and an image of a pool is registered under a lock with a setting of its own.", map[string]string{
		"sync.source.version.lock.wait.millis": "60000",
		"libvirt.default.template.lock.wait":   "5000",
	}},
	{"Each agent has a channel of its own on the bus, which the gateway hears that holds it: nobody else is asked, nobody tries for its lock, and who holds it is known without a ping.", map[string]string{
		"agent.group.id.cache.seconds":         "5",
		"agent.direct.request":                 "false",
		"agent.lock.failure.cache.time.millis": "5000",
		"agent.ping.unmanaged.every":           "12",
	}},
	{"What should run is read anew for each question to an agent.", map[string]string{
		"ha.instance.state.cache.millis": "300000",
	}},
	{"A change is told with its commit, and who waits for one looks by itself; timers are the program's own.", map[string]string{
		"task.resource.change.publish.schedule": "1",
		"task.resource.change.monitor.schedule": "5",
		"task.retry.timeout.schedule":           "1",
	}},
	{"A run is a slot of a worker (worker.slots), a wait for a reply costs none, and a stream stays open.", map[string]string{
		"eventing.pool.default.count":    "500",
		"eventing.pool.process.count":    "100",
		"eventing.reply.pool.maxtotal":   "1000000",
		"eventing.reply.pool.maxidle":    "1000",
		"api.pub.sub.servlet.timeout.ms": "0",
	}},
	{"The addresses db.url and redis.url say how many connections there are and how patient they are.", map[string]string{
		"db.maxtotal":        "1000",
		"redis.hosts":        "localhost",
		"redis.timeout":      "2000",
		"redis.retry.millis": "60000",
	}},
	{"Locks are rows and leases in Redis: there is neither ZooKeeper nor Hazelcast, and objects are not pooled.", map[string]string{
		"global.pool.maxidle":                       "50",
		"global.pool.maxtotal":                      "1000",
		"global.pool.maxwait":                       "1000",
		"global.pool.maxwaitmillis":                 "1000",
		"global.pool.minevictableidletimemillis":    "300000",
		"global.pool.testonborrow":                  "true",
		"global.pool.testwhileidle":                 "true",
		"global.pool.timebetweenevictionrunsmillis": "60000",
		"module.profile.hazelcast.config.basic":     "true",
		"module.profile.hazelcast.config.custom":    "false",
		"module.profile.hazelcast.eventing":         "false",
		"module.profile.hazelcast.lock":             "false",
		"task.zookeeper.cleanup.schedule":           "900",
		"zookeeper.connection.string":               "localhost",
		"zookeeper.connection.timeout.millis":       "30000",
		"zookeeper.lock.path":                       "/cattle/locks",
		"zookeeper.retries":                         "3",
		"zookeeper.session.timeout.millis":          "30000",
		"zookeeper.sleep.between.retry.time":        "1000",
		"zookeeper.stale.lock.seconds":              "60",
	}},
	{"The dashboard is one page, a part of the program: every path of it leads there.", map[string]string{
		"api.ui.index": "/static/index.html",
	}},
	{"The script of hosts that register is part of the program.", map[string]string{
		"agent.instance.register.script": "registration/registration.sh",
	}},
	{"The script that starts agents is part of the program; hosts that let the server log in are brought the program itself, and the key is written as OpenSSH does.", map[string]string{
		"bootstrap.source":          "config-content/bootstrap/bootstrap.sh",
		"bootstrap.source.override": "config-content/bootstrap/bootstrap.sh",
		"ssh.bootstrap.destination": "/tmp/cattle-bootstrap.sh",
		"ssh.key.text.format":       "ssh-rsa %s cattle@cattle",
	}},
	{"Hosts pull images, and know their registries: the server asks none.", map[string]string{
		"docker.index.url": "https://index.docker.io",
	}},
}
