package rest

import (
	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/schema"
)

// The tables here name everything that is special about a type. What a type does
// not say here it does like any other.

// special answers everything under /v1/TYPE for types that are no tables of rows.
func special(typ string) func(*request, *auth.Type) error {
	switch typ {
	case "schema":
		return schemaType
	case "setting", "activeSetting":
		return settingType
	case "processDefinition":
		return processDefinitionType
	case "resourceDefinition":
		return resourceDefinitionType
	case "extensionPoint":
		return extensionPointType
	case "typeDocumentation":
		return typeDocumentationType
	case "authorized":
		return authorizedType
	case "configContent":
		return configContentType
	case "subscribe":
		return subscribeType
	case "publish":
		return publishType
	}
	return nil
}

// engines tells whether rows of a type are made by the engine or the store alone, also
// where a caller sees the bare model.
func engines(typ string) bool {
	switch typ {
	case "processInstance", "processExecution", "databasechangelog", "databasechangeloglock":
		return true
	}
	return false
}

// completes checks and completes a POST to a type, by base type.
func completes(typ string) func(*request, *creation) error {
	switch typ {
	case "instance":
		return createInstance
	case "agent":
		return createAgent
	case "genericObject":
		return createGenericObject
	case "credential":
		return createCredential
	}
	return nil
}

// performs runs an action that is no process, by base type and name.
func performs(action string) func(*request, *auth.Type, *schema.Row) error {
	switch action {
	case "task.execute":
		return executeTask
	case "instance.console":
		return openConsole
	case "ipPool.acquire":
		return acquireAddress
	case "processInstance.retry":
		return retryProcess
	case "processInstance.cancel":
		return cancelProcess
	case "processInstance.force":
		return forceProcess
	}
	return nil
}

// leads answers a link that leads to no rows, by name in lower case; done is false
// for a row that has no such link.
func leads(link string) func(*request, *auth.Type, *schema.Row) (done bool, err error) {
	switch link {
	case "pem":
		return sendPem
	case "join":
		return sendJoin
	}
	return nil
}

// display is what differs in the look of a type's rows.
type display struct {
	hides func(r *request, row *schema.Row, field string) bool
	// shows gives JSON that stands in place of the value of some fields.
	shows func(row *schema.Row, field string) (text string, yes bool)
	links func(r *request, row *schema.Row, o *object)
	adds  func(r *request, row *schema.Row, o *object)
	// offers decides about actions beyond what the state allows; whyNot says why one
	// is not offered.
	offers func(r *request, row *schema.Row, action string) bool
	whyNot func(r *request, row *schema.Row, action string) string
}

// looks returns what differs in the look of a type's rows.
func looks(typ string) display {
	switch typ {
	case "register":
		return display{hides: hidesRegistration}
	case "registrationToken":
		return display{links: linkToken, adds: addToken}
	case "sshKey":
		return display{links: linkPem, shows: blanksHash}
	case "apiKey", "credential":
		return display{shows: blanksHash}
	case "processExecution":
		return display{shows: showsLog}
	case "processInstance":
		return display{adds: addWaiting, offers: offersWayOut, whyNot: whyNot}
	}
	return display{}
}
