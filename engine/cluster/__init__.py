"""A cluster of engines: the log and the leadership in etcd, the members and their links."""
