-- What a host has left changes with each placement and is asked for a few times a second at
-- most: an index would cost every placement its cheap update.
drop index host_placement;
