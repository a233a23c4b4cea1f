import { describe, expect, it } from 'vitest';
import { EXIT, meta, SIZE } from '@/tests/harness/journals';
import { decodeRecords, encode, tableCrc32 } from './journal-format';

const KEY = 0x12345678;

describe('records', () => {
  const records = [
    encode.meta(KEY, meta()),
    encode.key(KEY, { position: 0, ...SIZE, text: Buffer.from('frame') }, false),
    ...Array.from({ length: 20 }, (_, n) => encode.output(KEY, n * 10, [Buffer.from('01234'), Buffer.from('56789')])),
    encode.size(KEY, 200, { cols: 100, rows: 30 }),
    encode.end(KEY, EXIT),
  ].map((parts) => Buffer.concat(parts));
  const whole = Buffer.concat(records);

  it('J1 a journal cut off at any byte gives every record before the cut', () => {
    let count = 0;
    let end = 0;
    for (let length = 0; length <= whole.length; length++) {
      while (count < records.length && end + (records[count]?.length ?? 0) <= length)
        end += records[count++]?.length ?? 0;
      const cut = decodeRecords(whole.subarray(0, length), KEY);
      expect([cut.records.length, cut.damaged], `cut at ${length}`).toEqual([count, 0]);
    }
    expect(count).toBe(records.length);
  });

  it('J1 a flipped bit costs the record that it is in, and is counted', () => {
    const starts = records.map((_, n) => Buffer.concat(records.slice(0, n)).length);
    for (let offset = 0; offset < whole.length; offset++) {
      const flipped = Buffer.from(whole);
      flipped[offset] = (flipped[offset] ?? 0) ^ 0x10;
      const { records: left, damaged } = decodeRecords(flipped, KEY);
      const isInLast = offset >= (starts.at(-1) ?? 0);
      expect([left.length, damaged], `flipped at ${offset}`).toEqual([records.length - 1, isInLast ? 0 : 1]);
    }
  });

  it('J1 a whole record that makes no sense is passed over and counted', () => {
    const odd = Buffer.concat(encode.meta(KEY, meta({ epoch: 1.5 })));
    const { records: left, damaged } = decodeRecords(Buffer.concat([odd, ...records]), KEY);
    expect([left.length, damaged]).toEqual([records.length, 1]);
  });

  it('J1 output that looks like a record of another segment is output', () => {
    const forged = Buffer.concat(encode.end(KEY ^ 1, EXIT));
    const bytes = Buffer.concat(encode.output(KEY, 0, [forged]));
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    const { records: left } = decodeRecords(Buffer.concat([bytes, ...encode.end(KEY, EXIT)]), KEY);
    expect(left.map(({ kind }) => kind)).toEqual(['end']);
  });

  it('J1 the checksum in JavaScript is that of zlib', () => {
    expect(tableCrc32()(Buffer.from('123456789'), 0)).toBe(0xcbf43926);
    expect(tableCrc32()(Buffer.from('6789'), tableCrc32()(Buffer.from('12345'), 0))).toBe(0xcbf43926);
  });
});
