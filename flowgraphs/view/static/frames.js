// The binary messages of the page; the other half is frame.py.
const HEADER = 48;
export const LINE = 1, PACKET = 2;

export function parseFrame(buffer) {
  if (buffer.byteLength < HEADER) throw new Error("short picture");
  const view = new DataView(buffer);
  if (view.getUint32(0, false) !== 0x4f534456 || view.getUint8(4) !== 1) throw new Error("not a picture");
  const count = view.getUint16(6, true);
  const frame = {
    kind: view.getUint8(5),
    sequence: view.getUint32(8, true),
    packet: view.getInt32(12, true),
    sentAt: view.getFloat64(16, true),
    first: view.getFloat64(24, true),
    end: view.getFloat64(32, true),
    jump: view.getUint32(40, true),
    arrays: {},
  };
  let at = HEADER + 8 * count;
  for (let k = 0; k < count; k++) {
    const place = HEADER + 8 * k;
    let name = "";
    for (let i = 0; i < 4; i++) {
      const c = view.getUint8(place + i);
      if (c) name += String.fromCharCode(c);
    }
    const size = view.getUint32(place + 4, true);
    if (at + 4 * size > buffer.byteLength) throw new Error("cut picture");
    frame.arrays[name] = new Float32Array(buffer, at, size);
    at += 4 * size;
  }
  return frame;
}
