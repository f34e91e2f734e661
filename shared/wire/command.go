package wire

import "strings"

// CommandData is the data of a command: exactly one of its maps is set. Of each
// row it holds what drivers read; columns unknown here are skipped.
type CommandData struct {
	Image    *ImageStoragePoolMap  `json:"imageStoragePoolMap,omitempty"`
	Volume   *VolumeStoragePoolMap `json:"volumeStoragePoolMap,omitempty"`
	Instance *InstanceHostMap      `json:"instanceHostMap,omitempty"`
}

// ImageStoragePoolMap is an image in a pool.
type ImageStoragePoolMap struct {
	Image       Image `json:"image"`
	StoragePool Place `json:"storagePool"`
}

// VolumeStoragePoolMap is a volume in a pool.
type VolumeStoragePoolMap struct {
	Volume      Volume `json:"volume"`
	StoragePool Place  `json:"storagePool"`
}

// InstanceHostMap is an instance on a host.
type InstanceHostMap struct {
	Instance Instance `json:"instance"`
	Host     Place    `json:"host"`
}

// Place is a host or a pool. Its kind names the driver.
type Place struct {
	ID   int64  `json:"id,omitempty"`
	UUID string `json:"uuid"`
	Kind string `json:"kind"`
}

// Image is what an instance is made from. URL, Checksum and Format are of those that
// are disks of virtual machines.
type Image struct {
	UUID     string    `json:"uuid"`
	URL      string    `json:"url,omitempty"`
	Checksum string    `json:"checksum,omitempty"`
	Format   string    `json:"format,omitempty"`
	Data     ImageData `json:"data"`
}

// ImageData is the part of an image's data column that drivers read.
type ImageData struct {
	DockerImage DockerImage `json:"dockerImage"`
}

// DockerImage names an image as Docker does.
type DockerImage struct {
	FullName string `json:"fullName,omitempty"`
}

// DockerName is the name to give to Docker, or "" for an image that is not
// Docker's. A server that could not look the image up knows only its uuid.
func (i *Image) DockerName() string {
	if i == nil {
		return ""
	}
	if i.Data.DockerImage.FullName != "" {
		return i.Data.DockerImage.FullName
	}
	name, found := strings.CutPrefix(i.UUID, "docker:")
	if !found {
		return ""
	}
	return name
}

// Volume is a disk of an instance; device 0 is the one it starts from.
type Volume struct {
	UUID          string    `json:"uuid"`
	DeviceNumber  int       `json:"deviceNumber"`
	Format        string    `json:"format,omitempty"`
	VirtualSizeMB int64     `json:"virtualSizeMb,omitempty"`
	Image         *Image    `json:"image,omitempty"`
	StoragePools  []Place   `json:"storagePools,omitempty"`
	Instance      *Instance `json:"instance,omitempty"`
	Removed       any       `json:"removed,omitempty"`
}

// Instance is a container or a virtual machine.
type Instance struct {
	UUID     string         `json:"uuid"`
	Name     string         `json:"name,omitempty"`
	Hostname string         `json:"hostname,omitempty"`
	AgentID  int64          `json:"agentId,omitempty"` // of the agent that it is itself
	Data     InstanceData   `json:"data"`
	Image    *Image         `json:"image,omitempty"`
	Volumes  []Volume       `json:"volumes,omitempty"`
	Ports    []Port         `json:"ports,omitempty"`
	Nics     []Nic          `json:"nics,omitempty"`
	Links    []InstanceLink `json:"instanceLinks,omitempty"`
}

// InstanceData is the part of an instance's data column that drivers read.
type InstanceData struct {
	Fields InstanceFields `json:"fields"`
	// Imported is set for what others have begun.
	Imported bool `json:"imported,omitempty"`
	// Ipsec is where a tunnel ends, by the id of the host.
	Ipsec map[string]TunnelEnd `json:"ipsec,omitempty"`
}

// TunnelEnd is the ports of a host at which a tunnel ends.
type TunnelEnd struct {
	ISAKMP uint16 `json:"isakmp"`
	NAT    uint16 `json:"nat"`
}

// InstanceFields are the fields of an instance that have no column.
type InstanceFields struct {
	ImageUUID     string         `json:"imageUuid,omitempty"`
	Command       string         `json:"command,omitempty"`
	CommandArgs   []string       `json:"commandArgs,omitempty"`
	Environment   map[string]any `json:"environment,omitempty"`
	Directory     string         `json:"directory,omitempty"`
	User          string         `json:"user,omitempty"`
	Hostname      string         `json:"hostname,omitempty"`
	Privileged    bool           `json:"privileged,omitempty"`
	DockerVolumes []string       `json:"dockerVolumes,omitempty"`
	Ports         []string       `json:"ports,omitempty"`       // as the user wrote them
	DockerPorts   map[string]any `json:"dockerPorts,omitempty"` // as the last reply told them
}

// Port is a port row of an instance. PublicPort is 0 while none is known.
type Port struct {
	Kind        string `json:"kind,omitempty"` // userPort, imagePort
	PrivatePort uint16 `json:"privatePort"`
	PublicPort  uint16 `json:"publicPort,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	Removed     any    `json:"removed,omitempty"`
}

// Nic is a network interface of an instance.
type Nic struct {
	DeviceNumber int         `json:"deviceNumber"`
	MACAddress   string      `json:"macAddress,omitempty"`
	Addresses    []IPAddress `json:"ipAddresses,omitempty"`
	Network      Network     `json:"network"`
	Removed      any         `json:"removed,omitempty"`
}

// Primary is the address of a subnet by which a nic is known, nil if it has none.
func (n Nic) Primary() *IPAddress {
	if n.Removed != nil {
		return nil
	}
	for i := range n.Addresses {
		if a := &n.Addresses[i]; a.Role == "primary" && a.Address != "" && a.Subnet != nil && a.Subnet.CIDRSize > 0 && a.Subnet.CIDRSize <= 32 && a.Removed == nil {
			return a
		}
	}
	return nil
}

// IPAddress is an address of a nic. One without a subnet is what a host gave.
type IPAddress struct {
	Address string  `json:"address"`
	Role    string  `json:"role"`
	Subnet  *Subnet `json:"subnet,omitempty"`
	Removed any     `json:"removed,omitempty"`
}

// Subnet is as much of one as hosts need.
type Subnet struct {
	CIDRSize int `json:"cidrSize"` // bits of the network's part
}

// Network is the network of a nic.
type Network struct {
	UUID     string           `json:"uuid,omitempty"`
	Kind     string           `json:"kind,omitempty"`
	Services []NetworkService `json:"networkServices,omitempty"`
}

// NetworkService is something a network does for its instances; its kind says what.
type NetworkService struct {
	Kind    string `json:"kind"`
	Removed any    `json:"removed,omitempty"`
}

// InstanceLink makes a target known to an instance under the link's name.
type InstanceLink struct {
	Name    string           `json:"linkName"`
	Target  *Instance        `json:"targetInstance,omitempty"`
	Data    InstanceLinkData `json:"data"`
	Removed any              `json:"removed,omitempty"`
}

// InstanceLinkData is the part of a link's data column that drivers read.
type InstanceLinkData struct {
	Fields struct {
		Ports []LinkPort `json:"ports,omitempty"`
	} `json:"fields"`
}

// LinkPort is where a port of a link's target is reached.
type LinkPort struct {
	PrivatePort uint16 `json:"privatePort"`
	PublicPort  uint16 `json:"publicPort"`
	Protocol    string `json:"protocol"`
	IPAddress   string `json:"ipAddress"`
}

// ConfigUpdate is the name of the command that announces configuration items.
const ConfigUpdate = "config.update"

// ConfigUpdateData is the data of config.update.
type ConfigUpdateData struct {
	ConfigURL string       `json:"configUrl"`
	Items     []ConfigItem `json:"items"`
}

// ConfigItem is an item that an agent should fetch, apply and report.
type ConfigItem struct {
	Name             string `json:"name"`
	RequestedVersion int64  `json:"requestedVersion"`
	Apply            bool   `json:"apply"`
	Increment        bool   `json:"increment"`
	CheckInSyncOnly  bool   `json:"checkInSyncOnly"`
}

// DelegateRequest is the name of the command that hands another one to the agent inside
// an instance.
const DelegateRequest = "delegate.request"

// DelegateData is the data of delegate.request.
type DelegateData struct {
	Instance map[string]any `json:"instanceData"`
	Event    *Event         `json:"event"`
}
