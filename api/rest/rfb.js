// Shows what a VNC server shows, and tells it what is done there: RFB 3.8 over a WebSocket.
import {prove} from './des.js';
import {follow} from './input.js';

const raw = 0, copied = 1, hextile = 5, resized = -223;
const most = 8192; // pixels, either way
const band = 1 << 16; // bytes of a picture that are waited for at once

const number = (bytes, at, size) => { // of bytes, the highest first
  let n = 0;
  for (let i = at; i < at + size; i++) n = n * 256 + bytes[i];
  return n;
};

// Incoming is what the other side has said and nobody has read.
class Incoming {
  constructor(socket) {
    this.parts = [];
    this.held = 0;
    this.wake = () => {};
    socket.addEventListener('message', m => {
      if (typeof m.data === 'string') this.end('what answers there is no screen');
      else if (m.data.byteLength) {
        this.parts.push(new Uint8Array(m.data));
        this.held += m.data.byteLength;
        this.wake();
      }
    });
    let opened = false;
    socket.addEventListener('open', () => { opened = true; });
    socket.addEventListener('close', e => this.end(opened ? closing(e) : 'nobody lets in there: the ticket was used, or is too old, or nothing answers'));
  }

  end(why) {
    this.over = this.over || why;
    this.wake();
  }

  async take(n) {
    while (this.held < n) {
      if (this.over) throw new Error(this.over);
      await new Promise(wake => { this.wake = wake; });
    }
    this.held -= n;
    const out = new Uint8Array(n);
    for (let have = 0; have < n;) {
      const part = this.parts[0].subarray(0, n - have);
      out.set(part, have);
      have += part.length;
      if (part.length === this.parts[0].length) this.parts.shift();
      else this.parts[0] = this.parts[0].subarray(part.length);
    }
    return out;
  }

  async number(size) { return number(await this.take(size), 0, size); }

  async skip(n) {
    for (; n > 0; n -= band) await this.take(Math.min(n, band));
  }

  async words() {
    const n = await this.number(4);
    const text = new TextDecoder().decode(await this.take(Math.min(n, 200)));
    await this.skip(n - 200);
    return text;
  }
}

function closing(e) {
  if (e.reason) return e.reason;
  if (e.code === 1000 || e.code === 1005) return 'the machine has stopped, or shows its screen no more';
  return 'the connection is lost';
}

// show draws on a canvas until the connection ends, and then throws why. It calls begun with the way
// to say something, once there is somebody who hears it.
export async function show(socket, canvas, password, begun) {
  socket.binaryType = 'arraybuffer';
  const incoming = new Incoming(socket);
  const send = bytes => { if (socket.readyState === WebSocket.OPEN) socket.send(new Uint8Array(bytes)); };
  await greet(incoming, send);
  await enter(incoming, send, password);
  send([1]); // others may look too
  const picture = new Picture(canvas, incoming);
  const about = await incoming.take(20);
  picture.resize(number(about, 0, 2), number(about, 2, 2));
  await incoming.words(); // its name
  send([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0]); // red, green, blue and a byte that says nothing
  const ways = [copied, hextile, raw, resized];
  send([2, 0, 0, ways.length, ...ways.flatMap(n => [n >> 24 & 255, n >> 16 & 255, n >> 8 & 255, n & 255])]);
  picture.ask(send, false);
  const ignore = follow(canvas, send);
  begun(send);
  try {
    for (;;) await hear(incoming, picture, send);
  } finally {
    ignore();
  }
}

async function greet(incoming, send) {
  const version = /^RFB (\d{3})\.(\d{3})\n$/.exec(new TextDecoder().decode(await incoming.take(12)));
  if (!version) throw new Error('what answers there is no screen');
  if (Number(version[1]) * 1000 + Number(version[2]) < 3008) throw new Error('the screen speaks RFB ' + Number(version[1]) + '.' + Number(version[2]) + ', and no 3.8');
  send(new TextEncoder().encode('RFB 003.008\n'));
}

// enter proves the password, where one is asked for.
async function enter(incoming, send, password) {
  const n = await incoming.number(1);
  if (!n) throw new Error('the screen is not shown: ' + await incoming.words());
  const ways = await incoming.take(n);
  const way = [1, 2].find(w => ways.includes(w));
  if (!way) throw new Error('the screen wants to know who looks in a way that is not known here');
  if (way === 2 && !password) throw new Error('the screen wants a password, and there is none');
  send([way]);
  if (way === 2) send(prove(password, await incoming.take(16)));
  if (await incoming.number(4) === 0) return;
  const why = await incoming.words();
  throw new Error(way === 2 ? 'the password is wrong: ' + why : 'the screen is not shown: ' + why);
}

async function hear(incoming, picture, send) {
  const kind = await incoming.number(1);
  switch (kind) {
    case 0: {
      await incoming.skip(1);
      let whole = false;
      for (let n = await incoming.number(2); n > 0; n--) whole = await picture.change() || whole;
      picture.ask(send, !whole);
      return;
    }
    case 1: // colours, of which there is no table
      await incoming.skip(3);
      return incoming.skip(6 * await incoming.number(2));
    case 2: // a bell
      return;
    case 3: // what was cut out there stays there
      await incoming.skip(3);
      return incoming.skip(await incoming.number(4));
  }
  throw new Error('the screen says what is not understood: ' + kind);
}

class Picture {
  constructor(canvas, incoming) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d', {alpha: false});
    this.incoming = incoming;
  }

  resize(width, height) {
    if (!width || !height || width > most || height > most) throw new Error('the screen is of a size that cannot be shown: ' + width + ' × ' + height);
    this.canvas.width = width;
    this.canvas.height = height;
  }

  // ask wants what has changed, or everything.
  ask(send, changes) {
    const {width, height} = this.canvas;
    send([3, changes ? 1 : 0, 0, 0, 0, 0, width >> 8, width & 255, height >> 8, height & 255]);
  }

  // change draws one rectangle, and tells whether nothing is left of what was there.
  async change() {
    const head = await this.incoming.take(12);
    const [x, y, width, height] = [0, 2, 4, 6].map(at => number(head, at, 2));
    const way = number(head, 8, 4) | 0;
    if (way === resized) {
      this.resize(width, height);
      return true;
    }
    if (x + width > this.canvas.width || y + height > this.canvas.height) throw new Error('the screen draws beside itself');
    switch (way) {
      case raw:
        await this.raw(x, y, width, height);
        return false;
      case copied: {
        const from = await this.incoming.take(4);
        if (width && height) this.pen.drawImage(this.canvas, number(from, 0, 2), number(from, 2, 2), width, height, x, y, width, height);
        return false;
      }
      case hextile:
        for (let top = 0; top < height; top += 16) {
          for (let left = 0; left < width; left += 16) {
            await this.tile(x + left, y + top, Math.min(16, width - left), Math.min(16, height - top));
          }
        }
        return false;
    }
    throw new Error('the screen draws in a way that is not known here: ' + way);
  }

  async raw(x, y, width, height) {
    if (!width) return;
    const rows = Math.max(1, Math.floor(band / (4 * width)));
    for (let from = 0; from < height; from += rows) {
      const n = Math.min(rows, height - from);
      const pixels = new Uint8ClampedArray((await this.incoming.take(4 * width * n)).buffer);
      for (let i = 3; i < pixels.length; i += 4) pixels[i] = 255;
      this.pen.putImageData(new ImageData(pixels, width, n), x, y + from);
    }
  }

  async colour() {
    const [red, green, blue] = await this.incoming.take(4);
    return 'rgb(' + red + ',' + green + ',' + blue + ')';
  }

  // tile draws one of hextile's, which may leave its colours to the next.
  async tile(x, y, width, height) {
    const says = await this.incoming.number(1);
    if (says & 1) return this.raw(x, y, width, height);
    if (says & 2) this.ground = await this.colour();
    if (says & 4) this.ink = await this.colour();
    this.pen.fillStyle = this.ground;
    this.pen.fillRect(x, y, width, height);
    if (!(says & 8)) return;
    for (let n = await this.incoming.number(1); n > 0; n--) {
      this.pen.fillStyle = says & 16 ? await this.colour() : this.ink;
      const [place, size] = await this.incoming.take(2);
      this.pen.fillRect(x + (place >> 4), y + (place & 15), (size >> 4) + 1, (size & 15) + 1);
    }
  }
}
