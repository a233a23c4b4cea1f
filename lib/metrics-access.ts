/** Who may read `/metrics`: whoever knows a token, and without one only this machine and its private network. */
import { BlockList, isIP } from 'node:net';
import { isSameSecret } from './secrets';

/** Loopback, private (RFC 1918, RFC 4193) and link-local addresses. */
const NEAR = new BlockList();
for (const [net, prefix] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
] as const) {
  NEAR.addSubnet(net, prefix, 'ipv4');
}
NEAR.addAddress('::1', 'ipv6');
NEAR.addSubnet('fc00::', 7, 'ipv6');
NEAR.addSubnet('fe80::', 10, 'ipv6');

/** What proxies and tunnels add: with any of these the peer is not who asks. */
const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'cf-connecting-ip', 'via'];

/** A request for metrics. */
export type MetricsRequest = {
  header(name: string): string | null | undefined;
  /** The address at the other end of the connection; null where it cannot be known, and then only a token counts. */
  peer: string | null;
  /** Whether browsers reach this server under a public address, so that a proxy in front of it is the peer of everybody. */
  isPublic: boolean;
  /** Tokens that are good here. */
  tokens: readonly (string | undefined)[];
};

function isNear(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && NEAR.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Whether an address that browsers use leads to this machine or its private network only. */
export function isNearUrl(url: string): boolean {
  return isNearHost(new URL(url).host);
}

/** Whether a Host header names this machine or a private address, and not the public name of a tunnel. */
function isNearHost(host: string): boolean {
  if (!URL.canParse(`http://${host}`)) return false;
  const { hostname } = new URL(`http://${host}`);
  return hostname === 'localhost' || isNear(hostname.replace(/^\[|\]$/g, ''));
}

/** Whether a request may read the metrics. An `Authorization` header decides alone, wherever it comes from. */
export function mayReadMetrics({ header, peer, isPublic, tokens }: MetricsRequest): boolean {
  const authorization = header('authorization');
  if (authorization) {
    const given = /^Bearer (\S+)$/i.exec(authorization)?.[1];
    return given !== undefined && tokens.some((token) => token !== undefined && isSameSecret(given, token));
  }
  if (isPublic || peer === null || !isNear(peer)) return false;
  return isNearHost(header('host') ?? '') && FORWARDING_HEADERS.every((name) => !header(name));
}
