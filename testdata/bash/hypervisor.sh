#!/bin/bash
# A hypervisor of files: it registers itself as an agent and keeps what it is told
# to start under its working directory.
set -e

cd $(dirname $0)
. ./handler.sh

UUID=bash-hv-uuid
EVENT_HANDLERS=(compute.instance.activate compute.instance.deactivate ping
    storage.image.activate storage.volume.activate storage.volume.deactivate storage.volume.remove)

event_handler_ping()
{
    if [ "$(event .data.options.resources)" != "true" ]; then
        echo '{}' | reply
        return
    fi
    cat << EOF | reply
{
    "options": { "resources": true },
    "resources": [
        { "type": "host", "kind": "bash-hv", "name": "$(hostname) bash", "uuid": "$UUID-host" },
        { "type": "storagePool", "kind": "bash-hv", "name": "$(hostname) bash pool", "uuid": "$UUID-pool", "hostUuid": "$UUID-host" }
    ]
}
EOF
}

# keep notes an event in a file of its own.
keep()
{
    mkdir -p $(dirname $1)
    if [ ! -e $1 ]; then
        echo $EVENT > $1
    fi
}

instance_file() { echo instance-$(event .data.instanceHostMap.host.uuid)/$(event .data.instanceHostMap.instance.uuid); }
image_file()    { echo image-$(event .data.imageStoragePoolMap.storagePool.uuid)/$(event .data.imageStoragePoolMap.image.uuid); }
volume_file()   { echo volume-$(event .data.volumeStoragePoolMap.storagePool.uuid)/$(event .data.volumeStoragePoolMap.volume.uuid); }

event_handler_compute_instance_activate()   { keep $(instance_file); echo '{}' | reply; }
event_handler_compute_instance_deactivate() { rm -f $(instance_file); echo '{}' | reply; }
event_handler_storage_image_activate()      { keep $(image_file); echo '{ "image": { "format": "touch" } }' | reply; }
event_handler_storage_volume_activate()     { keep $(volume_file); echo '{ "volume": { "format": "touch" } }' | reply; }
event_handler_storage_volume_deactivate()   { echo '{}' | reply; }
event_handler_storage_volume_remove()       { rm -f $(volume_file); echo '{}' | reply; }

if [ -z "$AGENT_ID" ]; then
    AGENT_ID=$(curl -s ${URL}/agents?uuid=$UUID | jq -r '.data[0].id')
    if [ "$AGENT_ID" = "null" ]; then
        AGENT_ID=$(curl -s -X POST ${URL}/agents -F uri=event://$UUID -F managedConfig=false -F uuid=$UUID -F name="$(hostname) bash" -F kind=bash-hv | jq -r .id)
    fi
fi
echo "Agent $AGENT_ID"

subscribe
