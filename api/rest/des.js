// The cipher that VNC proves a password by: DES, one block at a time. As a browser has none, and
// nothing else is to be kept from anybody with it, it is written for the eye and not for speed.

// What is moved where, counted from one, as the standard has it.
const first = Array.from({length: 64}, (_, i) => (i < 32 ? 58 : 49) + 2 * (i >> 3) - 8 * (i & 7));
const keyBits = [57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
  63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4];
const roundBits = [14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
  41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32];
const mixed = [16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25];
const turns = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
const boxes = [
  'e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d',
  'f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9',
  'a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c',
  '7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e',
  '2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453',
  'c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d',
  '4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c',
  'd2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b'];

const pick = (bits, places) => places.map(p => bits[p - 1]);
const turn = (bits, n) => [...bits.slice(n), ...bits.slice(0, n)];
const apart = (value, n) => Array.from({length: n}, (_, i) => value >> (n - 1 - i) & 1);

function roundKeys(key) {
  const bits = pick(key, keyBits);
  let left = bits.slice(0, 28), right = bits.slice(28);
  return turns.map(n => {
    left = turn(left, n);
    right = turn(right, n);
    return pick([...left, ...right], roundBits);
  });
}

// scramble mixes half of a block with the key of a round.
function scramble(half, key) {
  const out = boxes.flatMap((box, n) => {
    const six = [0, 1, 2, 3, 4, 5].map(i => half[(4 * n + i + 31) % 32] ^ key[6 * n + i]);
    const row = 2 * six[0] + six[5], column = 8 * six[1] + 4 * six[2] + 2 * six[3] + six[4];
    return apart(parseInt(box[16 * row + column], 16), 4);
  });
  return pick(out, mixed);
}

function encrypt(block, keys) {
  const bits = pick(Array.from(block, b => apart(b, 8)).flat(), first);
  let left = bits.slice(0, 32), right = bits.slice(32);
  for (const key of keys) {
    const mix = scramble(right, key);
    [left, right] = [right, left.map((bit, i) => bit ^ mix[i])];
  }
  const swapped = [...right, ...left], out = new Uint8Array(8);
  first.forEach((p, i) => { out[p - 1 >> 3] |= swapped[i] << 7 - (p - 1 & 7); });
  return out;
}

// prove is the answer to a challenge of sixteen bytes. Eight bytes of a password count, and of each
// the bits from the last to the first: so it has always been.
export function prove(password, challenge) {
  const secret = new TextEncoder().encode(password);
  const key = Array.from({length: 8}, (_, i) => apart(secret[i] || 0, 8).reverse()).flat();
  const keys = roundKeys(key);
  return new Uint8Array([...encrypt(challenge.subarray(0, 8), keys), ...encrypt(challenge.subarray(8, 16), keys)]);
}
