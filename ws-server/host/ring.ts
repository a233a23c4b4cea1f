/** The last bytes of a session's output, addressed by absolute position. */

const BLOCK_BYTES_MIN = 4 * 1024;
const BLOCK_BYTES_MAX = 64 * 1024;

/** A block is filled once and never changed, so that slices of it can wait in a socket's queue. */
type Block = { position: number; bytes: Buffer; used: number };

/** A bounded log of bytes. It grows with what is appended and forgets the oldest blocks. */
export class Ring {
  readonly #bytesMax: number;
  #blocks: Block[] = [];
  #end: number;

  /**
   * @param bytesMax at least 64 KiB; up to one block less than this is kept when it is full
   * @param start the position of the first byte
   */
  constructor(bytesMax: number, start: number = 0) {
    this.#bytesMax = bytesMax;
    this.#end = start;
  }

  /** The lowest position that is still held. */
  get start(): number {
    return this.#blocks[0]?.position ?? this.#end;
  }

  /** The position behind the last byte. */
  get end(): number {
    return this.#end;
  }

  /** Memory that is held (bytes). */
  get bytes(): number {
    return this.#blocks.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  append(data: Uint8Array): void {
    let offset = 0;
    while (offset < data.length) {
      const block = this.#room();
      const taken = Math.min(block.bytes.length - block.used, data.length - offset);
      block.bytes.set(data.subarray(offset, offset + taken), block.used);
      block.used += taken;
      offset += taken;
      this.#end += taken;
    }
    this.#trim(this.#bytesMax, this.#end);
  }

  /** The bytes from `from` up to `to` as slices without copies; both must be held. */
  slices(from: number, to: number): Buffer[] {
    if (from < this.start || to > this.#end) throw new RangeError(`[${from}, ${to}) is not in the ring`);
    if (from === to) return [];
    const result: Buffer[] = [];
    for (const { position, bytes, used } of this.#blocks) {
      if (position + used <= from) continue;
      if (position >= to) break;
      result.push(bytes.subarray(Math.max(0, from - position), Math.min(used, to - position)));
    }
    return result;
  }

  /** Forgets all but the last `bytesMax` bytes, and nothing from `keepFrom` on; gives back the room that is left in the last block. */
  compact(bytesMax: number, keepFrom: number): void {
    this.#trim(bytesMax, keepFrom);
    const last = this.#blocks.at(-1);
    if (!last || last.used === last.bytes.length) return;
    const bytes = Buffer.allocUnsafeSlow(last.used);
    last.bytes.copy(bytes, 0, 0, last.used);
    this.#blocks[this.#blocks.length - 1] = { ...last, bytes };
  }

  /** Whole blocks only. */
  #trim(bytesMax: number, keepFrom: number): void {
    while (this.#end - this.start > bytesMax) {
      const next = this.#blocks[1];
      if (!next || next.position > keepFrom) return;
      this.#blocks.shift();
    }
  }

  #room(): Block {
    const last = this.#blocks.at(-1);
    if (last && last.used < last.bytes.length) return last;
    const size = Math.max(BLOCK_BYTES_MIN, Math.min((last?.bytes.length ?? 0) * 4, BLOCK_BYTES_MAX));
    const block = { position: this.#end, bytes: Buffer.allocUnsafeSlow(size), used: 0 };
    this.#blocks.push(block);
    return block;
  }
}
