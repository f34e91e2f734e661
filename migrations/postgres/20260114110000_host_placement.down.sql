create index host_placement on "host" ("compute_free" desc, "id") where state = 'active' and removed is null;
