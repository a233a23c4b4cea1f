/**
 * Memory for large frames on their way to browsers, used again once they are sent: left to the garbage collector, a flood of them
 * stopped the gateway, and every other terminal, for 10 to 40 ms at a time.
 */
import { FRAME_BYTES_MAX } from '@/lib/protocol/limits';

/** Smaller frames cost less than a block (bytes). */
const LARGE_BYTES = 8 * 1024;
/** Unused blocks that are kept. */
const BLOCKS_MAX = 64;

const blocks: ArrayBuffer[] = [];

/** Memory for a frame of this length; what it holds is undefined. */
export function takeFrame(length: number): Buffer<ArrayBuffer> {
  if (length < LARGE_BYTES || length > FRAME_BYTES_MAX) return Buffer.allocUnsafe(length);
  return Buffer.from(blocks.pop() ?? new ArrayBuffer(FRAME_BYTES_MAX), 0, length);
}

/** Gives a frame of `takeFrame` back. Once, and only when nobody reads it any more. */
export function giveFrameBack({ buffer, length }: Buffer<ArrayBuffer>): void {
  if (length >= LARGE_BYTES && buffer.byteLength === FRAME_BYTES_MAX && blocks.length < BLOCKS_MAX) blocks.push(buffer);
}
