// The page of a screen. It is called in two ways.
//
// vnc.html#INSTANCE is ours: the page asks for a ticket and a password itself, with the rights of
// whoever opens it, and neither is ever in an address.
//
// vnc.html?host=&port=&path=&password=&autoconnect=1 is the way of noVNC, by which the action console
// leads here. Anybody can make such a link, to any host. So all that goes there is what came in it:
// nothing is kept on this page or asked of anybody that could go along, a password that is missing
// is not asked for, and the page says whose screen it shows. A host that is none, or that hides
// another, is refused. The page takes the values out of its address, where they would stay in the
// history; no other page can have it in a frame.
import {pressTogether} from './input.js';
import {show} from './rfb.js';
import {instance, ticketTo} from './ticket.js';

const at = id => document.getElementById(id);
const query = new URLSearchParams(location.search);
const named = location.search.length > 1;
if (named) history.replaceState(null, '', location.pathname);

// linked is where a link of noVNC leads. What it leaves out is as for this page.
function linked() {
  let host = query.get('host') || location.hostname;
  if (/^[\da-f:.]*:[\da-f:.]*$/i.test(host)) host = '[' + host + ']';
  const port = query.get('port') || location.port;
  if (!/^([\w.-]+|\[[\da-f:.]+\])$/i.test(host) || !/^\d*$/.test(port)) throw new Error('the link names no host');
  const scheme = location.protocol === 'https:' ? 'wss://' : 'ws://';
  const path = (query.get('path') ?? 'websockify').replace(/^\/+/, '');
  return {address: scheme + host + (port && ':' + port) + '/' + path, password: query.get('password') || ''};
}

async function whither() {
  if (named) return linked();
  if (!instance) throw new Error('no machine is named; its page leads here');
  return ticketTo(instance, 'screen', {});
}

async function connect() {
  at('connect').hidden = true;
  at('says').textContent = 'connecting';
  let socket;
  try {
    const to = await whither(), whose = named ? new URL(to.address).host : instance;
    at('says').textContent = 'connecting to ' + whose;
    document.title = 'Screen of ' + whose;
    socket = new WebSocket(to.address, ['binary']);
    await show(socket, at('screen'), to.password, send => {
      at('says').textContent = 'connected to ' + whose;
      at('screen').hidden = at('restart').hidden = false;
      at('screen').className = '';
      at('restart').onclick = () => {
        pressTogether([0xffe3, 0xffe9, 0xffff], send);
        at('screen').focus({preventScroll: true});
      };
      at('screen').focus({preventScroll: true});
    });
  } catch (err) {
    if (socket) socket.close();
    at('says').textContent = err.message;
    at('restart').hidden = true;
    at('screen').className = 'over';
    at('connect').hidden = false;
  }
}

at('connect').onclick = connect;
if (!named || ['1', 'true'].includes(query.get('autoconnect'))) connect();
else {
  at('says').textContent = 'not connected';
  at('connect').hidden = false;
}
