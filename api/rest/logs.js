// The page of a log: logs.html#INSTANCE shows what it has written, and what it goes on to write.
import {instance, ticketTo} from './ticket.js';

const most = 1 << 20; // characters that are kept
const says = text => { document.getElementById('says').textContent = text; };
const log = document.getElementById('log');
const decoder = new TextDecoder();

function add(bytes) {
  const down = innerHeight + scrollY >= document.body.scrollHeight - 4;
  log.append(decoder.decode(bytes, {stream: true}));
  if (log.textContent.length > most) log.textContent = log.textContent.slice(-most / 2);
  if (down) scrollTo(0, document.body.scrollHeight);
}

async function read() {
  if (!instance) throw new Error('no instance is named; its page leads here');
  document.title = 'Logs of ' + instance;
  const socket = new WebSocket((await ticketTo(instance, 'logs', {follow: true, lines: 1000})).address);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => says('the log of ' + instance);
  socket.onmessage = m => { if (typeof m.data !== 'string') add(m.data); };
  socket.onclose = e => says(e.reason || (e.code === 1000 ? 'this is all that ' + instance + ' has written' : 'the connection is lost'));
}

says('connecting');
read().catch(err => says(err.message));
