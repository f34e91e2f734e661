// Tickets to look at an instance. Whoever may stop it gets one; it is good once.

// ticketTo asks for one, and says where it is taken: on the server that this page came from, by
// whatever way it came.
export async function ticketTo(instance, action, input) {
  const csrf = /(?:^|; )CSRF=([^;]*)/.exec(document.cookie);
  const answer = await fetch('/v1/instances/' + encodeURIComponent(instance) + '/?action=' + action, {
    method: 'POST', body: JSON.stringify(input),
    headers: {Accept: 'application/json', 'Content-Type': 'application/json', 'X-API-CSRF': csrf ? csrf[1] : ''},
  });
  const said = await answer.json();
  if (said.code === 'ActionNotAvailable') throw new Error(instance + ' does not run');
  if (!answer.ok) throw new Error(said.message || said.code);
  return {address: location.origin.replace(/^http/, 'ws') + new URL(said.url).pathname + '?token=' + said.token, password: said.password || ''};
}

// instance is the one that the address of this page names, behind a #.
export const instance = location.hash.slice(1);
