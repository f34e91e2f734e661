#!/bin/bash
# Prints every change of a resource and the state that it is in.
set -e

cd $(dirname $0)
. ./handler.sh

EVENT_HANDLERS=(resource.change)

event_handler_resource_change()
{
    echo "$(event .resourceType):$(event .resourceId) $(event .data.resource.state)"
}

subscribe
