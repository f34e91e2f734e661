// What somebody does at a screen, as VNC says it: keys by their X11 keysyms, and the pointer.

const named = {
  Backspace: 0xff08, Tab: 0xff09, Enter: 0xff0d, Pause: 0xff13, ScrollLock: 0xff14, Escape: 0xff1b, Home: 0xff50,
  ArrowLeft: 0xff51, ArrowUp: 0xff52, ArrowRight: 0xff53, ArrowDown: 0xff54, PageUp: 0xff55, PageDown: 0xff56, End: 0xff57,
  PrintScreen: 0xff61, Insert: 0xff63, ContextMenu: 0xff67, NumLock: 0xff7f, CapsLock: 0xffe5, Delete: 0xffff,
};
const sided = {Shift: 0xffe1, Control: 0xffe3, Alt: 0xffe9, Meta: 0xffeb}; // the right one is the next

export function keysym(e) {
  if (sided[e.key]) return sided[e.key] + (e.location === KeyboardEvent.DOM_KEY_LOCATION_RIGHT ? 1 : 0);
  if (named[e.key]) return named[e.key];
  const f = /^F(\d+)$/.exec(e.key);
  if (f) return 0xffbd + Number(f[1]);
  const point = e.key.codePointAt(0);
  if (e.key.length > (point > 0xffff ? 2 : 1)) return 0; // a dead key, or one that nobody knows
  return point < 0x100 ? point : 0x1000000 + point;
}

const buttons = e => e.buttons & 1 | (e.buttons & 4) >> 1 | (e.buttons & 2) << 1;
const notch = 50; // pixels

// follow has what is done at a canvas sent, until the returned function is called. Whatever is held
// when somebody turns to something else is let go of: nobody sees it come up there.
export function follow(canvas, send) {
  const held = new Map();
  let at = [0, 0], pressed = 0, rolled = 0;
  const key = (sym, down) => send([4, down ? 1 : 0, 0, 0, sym >>> 24, sym >> 16 & 255, sym >> 8 & 255, sym & 255]);
  const pointer = mask => send([5, mask, at[0] >> 8, at[0] & 255, at[1] >> 8, at[1] & 255]);
  const letGo = code => {
    if (held.has(code)) key(held.get(code), false);
    held.delete(code);
  };
  const letAllGo = () => {
    [...held.keys()].forEach(letGo);
    if (pressed) pointer(pressed = 0);
  };
  const point = e => {
    const box = canvas.getBoundingClientRect();
    const within = (n, size) => Math.max(0, Math.min(size - 1, Math.floor(n)));
    at = [within((e.clientX - box.left) * canvas.width / box.width, canvas.width), within((e.clientY - box.top) * canvas.height / box.height, canvas.height)];
    pointer(pressed = buttons(e));
  };
  const over = new AbortController();
  const on = (what, act) => canvas.addEventListener(what, act, {signal: over.signal, passive: false});
  on('keydown', e => {
    e.preventDefault();
    if (e.isComposing) return;
    if (e.key === 'AltGraph') return letGo('ControlLeft'); // which some systems press with it; the character says it all
    const sym = keysym(e);
    if (!sym) return;
    held.set(e.code, sym);
    key(sym, true);
  });
  on('keyup', e => {
    e.preventDefault();
    if (e.key === 'Meta') letAllGo(); // some systems do not tell what comes up beside it
    letGo(e.code);
  });
  on('blur', letAllGo);
  on('pointerdown', e => {
    canvas.focus();
    canvas.setPointerCapture(e.pointerId);
    point(e);
  });
  on('pointermove', point);
  on('pointerup', point);
  on('contextmenu', e => e.preventDefault());
  on('wheel', e => {
    e.preventDefault();
    rolled += e.deltaY * (e.deltaMode ? notch : 1);
    for (; Math.abs(rolled) >= notch; rolled -= Math.sign(rolled) * notch) {
      pointer(pressed | (rolled < 0 ? 8 : 16));
      pointer(pressed);
    }
  });
  return () => over.abort();
}

// pressTogether presses keys that a browser keeps for its own system.
export function pressTogether(syms, send) {
  const key = down => sym => send([4, down, 0, 0, 0, 0, sym >> 8, sym & 255]);
  syms.forEach(key(1));
  syms.toReversed().forEach(key(0));
}
