package rest

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/fault"
)

// createInstance checks a new container or virtual machine and finds its image.
func createInstance(r *request, c *creation) error {
	if err := checkNetworks(c.Values); err != nil {
		return err
	}
	ports, _ := c.Values["ports"].([]any)
	for _, p := range ports {
		text, _ := p.(string)
		if err := checkPort(text); err != nil {
			return err
		}
	}
	return chooseImage(r, c)
}

func checkNetworks(values map[string]any) error {
	networks, _ := values["networkIds"].([]any)
	subnets, _ := values["subnetIds"].([]any)
	if len(networks) > 0 && len(subnets) > 0 {
		return fault.Refused("NetworkIdsSubnetIdsMutuallyExclusive", "")
	}
	return nil
}

var portForm = regexp.MustCompile(`^(?:([^:/]*):)?([^:/]+)(?:/([^:/]*))?$`)

// checkPort reads a port as [public:]private[/tcp|udp].
func checkPort(text string) error {
	m := portForm.FindStringSubmatch(text)
	switch {
	case m == nil:
		return fault.Refused("PortWrongFormat", "")
	case strings.Contains(text, ":") && !isPort(m[1]):
		return fault.Refused("PortInvalidPublicPort", "")
	case !isPort(m[2]):
		return fault.Refused("PortInvalidPrivatePort", "")
	case strings.Contains(text, "/") && m[3] != "tcp" && m[3] != "udp":
		return fault.Refused("PortInvalidProtocol", "")
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1 && n <= 65535
}
