/** How Next builds and serves. Settings of an operator are not here: they are read when the server starts. */
import { fileURLToPath } from 'node:url';
import type { NextConfig } from 'next';

const securityHeaders = [
  {
    key: 'Content-Security-Policy',
    value: "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'",
  },
  { key: 'X-Frame-Options', value: 'DENY' },
  { key: 'X-Content-Type-Options', value: 'nosniff' },
  { key: 'Referrer-Policy', value: 'no-referrer' },
  { key: 'Cross-Origin-Opener-Policy', value: 'same-origin' },
  { key: 'Cross-Origin-Resource-Policy', value: 'same-origin' },
];

const HEX = '[0-9A-Fa-f]';
const NEXT = `%[89AaBb]${HEX}`;
/** One character of a path: itself, or percent-encoded in UTF-8 (the well-formed sequences of RFC 3629). */
const CHARACTER = [
  '[^%]',
  `%[0-7]${HEX}`,
  `%(?:[Cc][2-9A-Fa-f]|[Dd]${HEX})${NEXT}`,
  `%[Ee]0%[AaBb]${HEX}${NEXT}`,
  `%[Ee][1-9A-CEFa-cef]${NEXT}${NEXT}`,
  `%[Ee][Dd]%[89]${HEX}${NEXT}`,
  `%[Ff]0%[9AaBb]${HEX}${NEXT}${NEXT}`,
  `%[Ff][1-3]${NEXT}${NEXT}${NEXT}`,
  `%[Ff]4%8${HEX}${NEXT}${NEXT}`,
].join('|');

/** What Next would answer with status 500, or not at all, leads to the route that answers 404. */
const rewrites = [
  // Without a route Next leaves an upgrade unanswered and its socket open; with one it closes it.
  { source: '/:path*', has: [{ type: 'header', key: 'upgrade' }], destination: '/api/none' },
  // A path that cannot be decoded makes Next's router throw.
  { source: `/:path(.{0}(?!(?:${CHARACTER})*$).*)`, destination: '/api/none' },
] satisfies Awaited<ReturnType<NonNullable<NextConfig['rewrites']>>>;

const nextConfig: NextConfig = {
  output: 'standalone',
  outputFileTracingRoot: fileURLToPath(new URL('.', import.meta.url)),
  // The migrations of the database are read when the server starts.
  outputFileTracingIncludes: { '/*': ['./drizzle/*.sql', './drizzle/meta/_journal.json'] },
  // Kept out of the bundles: as part of each route they cost the development server some 300 MB.
  serverExternalPackages: ['drizzle-orm', 'opossum', 'postgres', 'redis'],
  devIndicators: false,
  // `npm run check` looks at all types; a start must not wait for those of the tests.
  typescript: { ignoreBuildErrors: true },
  poweredByHeader: false,
  experimental: {
    // Together they halve the memory of the development server. `npm run dev:debug` asks for source maps.
    turbopackSourceMaps: process.env['HOLDFAST_SOURCE_MAPS'] === '1',
    turbopackMemoryEviction: 'full',
    turbopackGc: true,
  },
  rewrites: async () => ({ beforeFiles: rewrites, afterFiles: [], fallback: [] }),
  headers: async () => [{ source: '/:path*', headers: securityHeaders }],
};

export default nextConfig;
