package config

import "maps"

// Standard are the built-in values, the last layer. The names are those that
// installations have in their files and clients list.
func Standard() map[string]string {
	m := acting()
	for _, g := range Kept {
		maps.Copy(m, g.Settings)
	}
	return m
}

// acting are the values that something reads.
func acting() map[string]string {
	return map[string]string{
		// The engine.
		"process.lease.seconds":                                 "6",
		"process.retry.backoff.initial.ms":                      "1000",
		"process.retry.backoff.max.ms":                          "300000",
		"process.busy.backoff.max.ms":                           "15000",
		"process.reconcile.max.enqueue.per.second":              "250",
		"process.replay.batch.size":                             "500",
		"process.instance.retention.seconds":                    "604800",
		"process.execution.log.retention.seconds":               "259200",
		"process.agent.reconnect.priority":                      "100",
		"process.account.create.create.credential":              "true",
		"process.account.create.create.credential.default.kind": "apiKey",
		"process.agent.create.create.account":                   "true",
		"process.credential.create.bad.characters":              "[O0lI+/=]",
		"object.remove.time.delay.seconds":                      "60",
		"idempotent.checks":                                     "false", // for those who write handlers
		"idempotent.reexecute":                                  "${idempotent.checks}",
		"idempotent.abort.on.change":                            "${idempotent.checks}",
		"instance.compute.tries":                                "3",
		"instance.compute.default":                              "1",
		"instance.link.target.wait.time.millis":                 "15000",
		"simple.allocator.spread":                               "true",
		"resource.monitor.default.wait.millis":                  "15000",

		// What the clock starts, in seconds.
		"task.process.replay.schedule":                  "2",
		"task.purge.resources.schedule":                 "60",
		"task.cleanup.task.instances.schedule":          "86400",
		"task.cleanup.process.instances.schedule":       "600",
		"task.cleanup.process.executions.schedule":      "600",
		"task.agent.ping.schedule":                      "5",
		"task.process.watch.schedule":                   "10",
		"task.host.failover.schedule":                   "5",
		"task.config.item.sync.schedule":                "15",
		"task.config.item.migration.schedule":           "900",
		"task.config.item.source.version.sync.schedule": "3600",
		"task.purge.after.seconds":                      "604800",
		"task.initial.delay.seconds":                    "15",

		// Events and agents.
		"default.lock.wait.millis":                      "3000", // NAME.wait goes before it
		"external.template.register.lock.wait.millis":   "2000",
		"agent.connection.management.lock.wait.millis":  "2000",
		"eventing.retry":                                "3",
		"eventing.timeout.millis":                       "15000",
		"agent.timeout.millis":                          "15000",
		"agent.retries":                                 "3",
		"agent.activate.ping.retries":                   "30",
		"agent.activate.ping.timeout":                   "1000",
		"agent.reconnect.disconnect.every.seconds":      "120",
		"agent.ping.timeout.seconds":                    "5",
		"agent.ping.reconnect.after.failed.count":       "6",
		"agent.ping.instances.every":                    "1",
		"ha.instance.state.report.unknown":              "true",
		"agent.import.instances":                        "false", // what others have begun on hosts
		"ha.host.restart.after.seconds":                 "60",    // that a host is gone, what is to be restarted leaves it; 0 is never
		"ha.host.lost.limit.percent":                    "10",    // of all hosts; while more are gone nothing leaves them
		"agent.resource.monitor.cache.resource.seconds": "300",   // for which what an agent reports is taken as known
		"agent.ping.resources.every":                    "12",
		"agent.ping.stats.every":                        "60",
		"agent.config.items":                            "pyagent,configscripts",
		"agent.groups":                                  "*",    // that a gateway serves: ids, * for all, ! for agents without one
		"agent.update.enabled":                          "true", // agents get the program of the gateway they connect to
		"api.keys.shown.once":                           "false",
		"api.account.kinds":                             "",     // that a server serves, by commas; not from the database
		"gateway.connects.per.second":                   "2000", // that may begin at one gateway
		"gateway.connections.max":                       "0",    // 0 is no limit but that of the machine
		"gateway.frames.per.second":                     "500",  // that an agent may say
		"gateway.quarantine.after":                      "5",    // answers in another's name; 0 is never
		"gateway.quarantine.seconds":                    "600",
		"gateway.takeovers.per.minute":                  "6", // of an agent's connection by another host, until it is cut off; 0 is never
		"api.allowed.origins":                           "",  // of pages of other sites that may listen, by commas
		"item.wait.for.event.tries":                     "30",
		"item.wait.for.event.timeout.millis":            "2000",
		"item.sync.batch.size":                          "100",
		"item.migration.block.on.failure":               "true",
		"config.item.ignore.prefixes":                   ".", // of names of files, by commas
		"agent.instance.name":                           "Agent",
		"agent.instance.image.tag":                      "latest",
		"agent.instance.image.uuid":                     "docker:cattle/agent-instance:${agent.instance.image.tag}",
		"agent.instance.start.items.apply":              "configscripts,services,agent-instance-scripts,monit,node-services",
		"agent.instance.start.items.increment":          "agent-instance-startup",

		// Which configuration items follow from which process, by the kind of the service.
		"nic.activate.agentInstanceProvider.dnsService.apply":                                   "dnsmasq",
		"nic.activate.agentInstanceProvider.dnsService.increment":                               "hosts",
		"nic.activate.agentInstanceProvider.dhcpService.apply":                                  "dnsmasq",
		"nic.activate.agentInstanceProvider.dhcpService.increment":                              "hosts",
		"nic.activate.agentInstanceProvider.linkService.increment":                              "iptables",
		"nic.activate.agentInstanceProvider.ipsecTunnelService.apply":                           "ipsec",
		"nic.activate.agentInstanceProvider.ipsecTunnelService.increment":                       "ipsec-hosts",
		"nic.activate.agentInstanceProvider.metadataService.increment":                          "metadata",
		"instancelink.activate.agentInstanceProvider.linkService.increment":                     "iptables",
		"instancelink.update.agentInstanceProvider.linkService.increment":                       "iptables",
		"hostipaddressmap.activate.agentInstanceProvider.ipsecTunnelService.increment":          "ipsec-hosts",
		"host.port.activate.agentInstanceProvider.portService.increment":                        "host-iptables",
		"host.port.update.agentInstanceProvider.portService.increment":                          "host-iptables",
		"host.instancehostmap.activate.agentInstanceProvider.portService.increment":             "host-routes",
		"host.instancehostmap.activate.agentInstanceProvider.hostNatGatewayService.increment":   "host-routes,host-iptables",
		"host.instancehostmap.deactivate.agentInstanceProvider.hostNatGatewayService.increment": "host-routes,host-iptables",
		"host.ipassociation.activate.agentInstanceProvider.hostNatGatewayService.increment":     "host-routes,host-iptables",
		"host.ipassociation.deactivate.agentInstanceProvider.hostNatGatewayService.increment":   "host-routes,host-iptables",

		"agent.image":                          "cattle/agent:latest",
		"agent.instance.register.url":          "", // what hosts that register are told; the address that was asked if empty
		"agent.filter.assign.uri":              "true",
		"agent.filter.default.uri":             "ssh://%s@%s:22",
		"agent.filter.default.uri.reverse.dns": "true",
		"agent.filter.default.user":            "root",
		"registration.token.period.millis":     "31536000000",
		"sample.setup":                         "true", // makes the first networks of an installation
		"ssh.keygen.on.startup":                "true",
		"ssh.timeout.millis":                   "15000",                   // a step of bringing an agent to a host
		"ssh.retry.millis":                     "15000",                   // between two attempts on the same host
		"ssh.tunnel.enabled":                   "",                        // true or false decides; else agents that are told no URL have one
		"ssh.tunnel.server":                    "",                        // HOST:PORT of gateway and API, to which tunnels lead; of the same process if empty
		"ssh.localhost.url.format":             "https://localhost:%s/v1", // http:// in the contract; but whoever is on a host may listen where a tunnel was
		"ssh.agent.env":                        "CATTLE_HOME=/var/lib/cattle ${ssh.agent.env.extra}",
		"docker.auto.create.external.pool":     "true",
		"docker.compute.auto.add.host.ip":      "true",
		"event.data.imageStoragePoolMap":       "storagePool|image",
		"event.data.instance":                  "volumes[${event.data.volume}]|offering|image|ports|nics[${event.data.nic}]|instanceLinks[targetInstance]",
		"event.data.instanceHostMap":           "instance[${event.data.instance}]|host",
		"event.data.nic":                       "ipAddresses[subnet]|network[networkServiceProviders|networkServices]",
		"event.data.volume":                    "offering|instance|storagePools|image",
		"event.data.volumeStoragePoolMap":      "volume[${event.data.volume}]|storagePool",

		// The API.
		"api.auth.failures.per.minute":               "20",   // at one key from one address
		"api.auth.failures.per.address.per.minute":   "200",  // at all keys
		"api.auth.failures.per.key.per.minute":       "1000", // from all addresses
		"api.rate.per.key":                           "0",    // requests a second; 0 is no limit
		"api.rate.per.address":                       "0",
		"api.trusted.proxies":                        "",   // networks with commas, such as 10.0.0.0/8: X-Forwarded-For from there says who asks
		"api.rate.burst.seconds":                     "10", // for which requests may be saved up
		"api.allow.client.override":                  "false",
		"api.auth.header.enabled":                    "false",
		"api.auth.realm":                             "Enter API access key and secret key as username and password",
		"account.by.key.credential.types":            "agentApiKey, apiKey, usernamePassword",
		"account.type.admin.all.accounts":            "true",
		"account.type.admin.plain.id.option":         "true",
		"account.type.admin.subscription.style":      "raw",
		"account.type.superadmin.all.accounts":       "true",
		"account.type.superadmin.plain.id.option":    "true",
		"account.type.superadmin.subscription.style": "raw",
		"account.type.readAdmin.all.accounts":        "true",
		"account.type.readAdmin.subscription.style":  "raw",
		"account.type.agent.plain.id":                "true",
		"api.ignore.paths":                           "/static,/ping,/healthcheck",
		"api.ui.js.url":                              "/static/explorer.js",
		"api.ui.css.url":                             "/static/explorer.css",
		"api.dev":                                    "false",
		"api.redirect.to.ui":                         "true",
		"api.redirect.ui.path":                       "/static/",
		"console.url.format.websocket-vnc":           "/static/vnc.html?path={path}&host={host}&port={port}&password={password}&autoconnect=1",
		"api.request.options":                        "_plainId",
		"api.show.removed.for.seconds":               "300",
		"api.show.transitioning.internal.message":    "true",
		"api.instance.require.image":                 "true",
		"api.event.change.exclude.types":             "publish",
		"api.sub.ping.interval.millis":               "5000",
		"api.sub.max.pings":                          "8640",

		// Secrets.
		"encryption.keys":      "", // ID:BASE64,… the first encrypts, all decrypt
		"encryption.keys.file": "", // holds them instead, a line each; encryption.keys in CATTLE_HOME if empty

		// The server.
		"http.host":       "127.0.0.1",
		"http.port":       "8080",
		"cattle.url.path": "/v1",
		"https.port":      "", // one more port, for TLS; none if empty
		"https.cert.file": "", // PEM; a certificate of the server's own in CATTLE_HOME if empty
		"https.key.file":  "",
		"worker.slots":    "50",
		"pprof.address":   "", // HOST:PORT on this machine, where profiles are served; nowhere if empty
		"metrics.address": "", // where GET /metrics is answered besides; none if empty
	}
}
