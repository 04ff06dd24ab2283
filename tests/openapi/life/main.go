// Takes a session through its life with a client generated from docs/openapi.yaml: see ../generated-client.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"reflect"

	sessionapi "example.com/session-api/client"
)

// check exits with an error unless the call got this status.
func check(what string, status int, response *http.Response, err error) {
	if response == nil || response.StatusCode != status {
		fmt.Fprintf(os.Stderr, "%s: %v, expected status %d\n", what, err, status)
		os.Exit(1)
	}
}

func require(what string, isTrue bool) {
	if !isTrue {
		fmt.Fprintln(os.Stderr, what)
		os.Exit(1)
	}
}

func main() {
	configuration := sessionapi.NewConfiguration()
	configuration.Servers = sessionapi.ServerConfigurations{{URL: os.Getenv("SESSION_API_URL")}}
	api, background := sessionapi.NewAPIClient(configuration), context.Background()
	session, lock, users := api.SessionAPI, api.LockAPI, api.UserAPI
	cart := map[string]interface{}{"cart": []interface{}{"apple"}}

	response, err := session.CreateSession(background).SessionTTL(600).Body(cart).Execute()
	check("create", 201, response, err)
	id := response.Header.Get("Session-Id")
	data, response, err := session.ReadSession(background).SessionId(id).Execute()
	check("read", 200, response, err)
	require("the data differs", reflect.DeepEqual(data, interface{}(cart)))
	etag := response.Header.Get("ETag")

	patch := map[string]interface{}{"theme": "dark"}
	_, response, err = session.PatchSession(background).SessionId(id).IfMatch(etag).Body(patch).Execute()
	check("patch", 204, response, err)
	response, err = session.ReplaceSession(background).SessionId(id).IfMatch(etag).Body(cart).Execute()
	check("replace after a change", 412, response, err)
	problem, isProblem := err.(*sessionapi.GenericOpenAPIError).Model().(sessionapi.Problem)
	require("the problem is not typed", isProblem && problem.Type == "urn:session-api:etag-mismatch")

	_, response, err = lock.LockSession(background).SessionId(id).SessionLease(5).Execute()
	check("lock", 200, response, err)
	token := response.Header.Get("Session-Lock")
	response, err = session.ReplaceSession(background).SessionId(id).Body(cart).Execute()
	check("replace without the lock", 423, response, err)
	response, err = lock.UnlockSession(background).SessionId(id).SessionUnlock(token).Execute()
	check("unlock", 204, response, err)

	response, err = session.RotateSession(background).SessionId(id).SessionUser("go").SessionLabel("generated").Execute()
	check("rotate", 200, response, err)
	newID := response.Header.Get("Session-Id")
	sessions, response, err := users.ListSessions(background).SessionUser("go").SessionId(newID).Execute()
	check("list", 200, response, err)
	require("the list differs", len(sessions) == 1 && sessions[0].Current && *sessions[0].Label.Get() == "generated")
	response, err = users.DestroySessionOfUser(background, sessions[0].Handle).SessionUser("go").Execute()
	check("destroy by handle", 204, response, err)
	destroyed, response, err := users.DestroySessions(background).SessionUser("go").Execute()
	check("destroy all", 200, response, err)
	require("a session was left", destroyed.Destroyed == 0)
	_, response, err = session.TouchSession(background).SessionId(newID).Execute()
	check("touch a destroyed session", 404, response, err)
	response, err = session.DestroySession(background).SessionId(newID).Execute()
	check("destroy", 204, response, err)
	fmt.Println("A generated client took a session through its life.")
}
