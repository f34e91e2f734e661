# A small framework for handlers in bash: a script defines functions called
# event_handler_NAME, lists what it wants in EVENT_HANDLERS and sources this file.

URL=http://localhost:8080/v1
SUBSCRIBE_URL=${URL}/subscribe
PUBLISH_URL=${URL}/publish
AGENT_ID=

while [ "$#" -gt 0 ]; do
    case $1 in
    --url)      shift 1; URL=$1 ;;
    --agent-id) shift 1; AGENT_ID=$1 ;;
    esac
    shift 1
done

event()
{
    echo $EVENT | jq -r "$1"
}

# reply answers EVENT with the data on standard input.
reply()
{
    if [ "$(event .replyTo)" = "null" ]; then
        return
    fi
    local id=
    if which uuidgen >/dev/null 2>&1; then
        id=$(uuidgen)
    fi
    jq --argjson event "$EVENT" --arg id "$id" '{
        "id": $id,
        "time": (now * 1000 | floor),
        "name": $event.replyTo,
        "data": .,
        "previousNames": [ $event.name ],
        "previousIds": [ $event.id ],
        "resourceId": $event.resourceId,
        "resourcetype": $event.resourceType
    }' | curl -s -X POST -H 'Content-Type: application/json' -d @- ${PUBLISH_URL} | jq .
}

handle()
{
    local name=$(event .name | sed 's/;.*//')
    local function=event_handler_$(echo $name | sed 's/\./_/g')
    if [ "$(type -t $function)" != "function" ]; then
        echo "Nothing handles $name"
        return
    fi
    echo "$name for $(event .resourceType) $(event .resourceId) in $(event .context.prettyProcess)"
    $function
}

subscribe()
{
    local args=
    if [ -n "$AGENT_ID" ]; then
        args="-F agentId=$AGENT_ID"
    fi
    for name in "${EVENT_HANDLERS[@]}"; do
        args="$args -F eventNames=$name"
    done
    curl -N -s -X POST $args ${SUBSCRIBE_URL} | while read EVENT; do
        if [ -z "$EVENT" ]; then
            continue
        fi
        handle
    done
}
