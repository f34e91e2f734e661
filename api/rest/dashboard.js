// The dashboard: hosts and what runs on them, as it is now. It lists once and then listens; see the public API's
// event stream. After a break it lists again.
'use strict';

const hosts = new Map(), instances = new Map();
const over = ['removed', 'purging', 'purged'];

async function all(path) {
  const out = [];
  for (let url = path; url;) {
    const answer = await fetch(url, {headers: {Accept: 'application/json'}});
    if (!answer.ok) throw new Error(path + ' answers ' + answer.status);
    const page = await answer.json();
    out.push(...page.data);
    url = page.pagination && page.pagination.next;
  }
  return out;
}

async function list() {
  const [h, i] = await Promise.all([all('/v1/hosts?limit=1000&removed_null'), all('/v1/instances?limit=1000&removed_null&include=instanceHostMaps')]);
  hosts.clear();
  instances.clear();
  h.forEach(note);
  i.forEach(note);
  draw();
}

// note takes in a resource; a page of a list may bring a part of its maps.
function note(r) {
  const known = r.type === 'host' ? hosts : r.type === 'container' || r.type === 'virtualMachine' || r.type === 'instance' ? instances : null;
  if (!known) return;
  if (over.includes(r.state)) known.delete(r.id);
  else known.set(r.id, r);
}

function element(name, text, kind) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (kind) e.className = kind;
  return e;
}

function line(name, r, label) {
  const e = element(name, undefined, r.transitioning === 'error' ? 'error' : r.state);
  const a = element('a', label);
  a.href = r.links.self;
  e.append(a, element('span', r.state, 'state'));
  if (r.transitioningMessage) e.append(element('span', r.transitioningMessage, 'state'));
  looks(r).forEach(([name, page]) => {
    const look = element('a', name, 'look');
    look.href = page;
    e.append(look);
  });
  return e;
}

// looks are the pages that show what an instance shows and writes, to who may stop or start it.
function looks(r) {
  if (r.type === 'host' || !r.actions || !r.actions.stop && !r.actions.start) return [];
  const screen = r.type === 'virtualMachine' && r.state === 'running' ? [['Screen', '/static/vnc.html#' + r.id]] : [];
  return [...screen, ['Logs', '/static/logs.html#' + r.id]];
}

const label = r => r.name || r.id;

function hostOf(i) {
  const ties = (Array.isArray(i.instanceHostMaps) ? i.instanceHostMaps : []).filter(m => !m.removed);
  return ties.length ? ties[0].hostId : null;
}

function draw() {
  const count = {};
  instances.forEach(i => { count[i.state] = (count[i.state] || 0) + 1; });
  document.getElementById('sums').textContent = hosts.size + (hosts.size === 1 ? ' host, ' : ' hosts, ') + instances.size +
    (instances.size === 1 ? ' instance' : ' instances') + Object.keys(count).sort().map(s => ', ' + count[s] + ' ' + s).join('');
  const places = new Map([...hosts.keys()].map(id => [id, []]));
  const nowhere = [];
  instances.forEach(i => (places.get(hostOf(i)) || nowhere).push(i));
  const out = document.getElementById('hosts');
  out.replaceChildren();
  const card = (head, those) => {
    const s = element('section'), ul = element('ul');
    those.forEach(i => ul.append(line('li', i, label(i))));
    s.append(head, ul);
    out.append(s);
  };
  hosts.forEach(h => card(line('h2', h, label(h)), places.get(h.id)));
  if (nowhere.length) card(element('h2', 'on no host'), nowhere);
}

let due = 0;
function soon() { // many changes are drawn at once
  if (!due) due = setTimeout(() => { due = 0; draw(); }, 100);
}

function listen() {
  const says = text => { document.getElementById('link').textContent = text; };
  const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/v1/subscribe?include=instanceHostMaps&eventNames=resource.change');
  let first = true;
  socket.onmessage = m => {
    const e = JSON.parse(m.data);
    if (first) {
      first = false;
      list().then(() => says('live'), err => { says(err.message); socket.close(); });
      return;
    }
    if (e.name === 'resource.change' && e.data && e.data.resource) {
      note(e.data.resource);
      soon();
    }
  };
  socket.onclose = () => { says('connecting'); setTimeout(listen, 1000); };
}

list().catch(err => { document.getElementById('link').textContent = err.message; }).finally(listen);
