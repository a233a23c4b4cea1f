import { expect, test } from 'vitest';
import { webAddress } from './links';

test.each([
  ['https://example.com/a?b#c', 'https://example.com/a?b#c'],
  ['HTTP://EXAMPLE.com', 'http://example.com/'],
  // A look-alike is shown as what it is.
  ['https://\u0430pple.com', 'https://xn--pple-43d.com/'],
])('C10 %s opens as %s', (text, address) => {
  expect(webAddress(text)).toBe(address);
});

test.each([
  'javascript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'file:///etc/passwd',
  'vscode://open',
  'ftp://example.com',
  ' java\tscript:alert(1)',
  '//example.com',
  'example.com',
  '',
])('C10 %j does not open', (text) => {
  expect(webAddress(text)).toBeNull();
});
