#!/bin/bash
# Asked right before every start of an instance, as the handler demo. The exchange
# is that of the well-known example: curl, jq, and nothing else.
set -e

URL=http://localhost:8080/v1

curl -s -X POST ${URL}/externalhandlers -F uuid=demohandler1 -F name=demo -F processNames=instance.start

curl -N -s -X POST ${URL}/subscribe -F 'eventNames=instance.start;handler=demo' | while read EVENT; do
    if [ -z "$EVENT" ]; then
        continue
    fi
    if [ "$(echo $EVENT | jq -r .name)" != "instance.start;handler=demo" ]; then
        continue
    fi

    echo $EVENT | jq .
    curl -s ${URL}/$(echo $EVENT | jq -r '.resourceType + "/" + .resourceId') | jq .

    echo $EVENT | jq '{
        "name": .replyTo,
        "previousIds": [ .id ],
        "data": { "+data": { "hello": "world" } }
    }' | curl -s -X POST -H 'Content-Type: application/json' -d @- ${URL}/publish
done
