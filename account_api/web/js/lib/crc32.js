/* CRC-32 as the stream uses it to let a client check its book. */

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of ASCII text, unsigned. */
export function crc32(text) {
  let value = 0xffffffff;
  for (let index = 0; index < text.length; index += 1) {
    value = (value >>> 8) ^ TABLE[(value ^ text.charCodeAt(index)) & 0xff];
  }
  return (value ^ 0xffffffff) >>> 0;
}
