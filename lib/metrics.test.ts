import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { METRIC_NAMES, METRICS, Metrics, type Process } from './metrics';

const opened: Metrics[] = [];

function make(process: Process): Metrics {
  const metrics = new Metrics(process);
  opened.push(metrics);
  return metrics;
}

afterEach(() => {
  for (const metrics of opened.splice(0)) metrics.close();
});

type Documented = { name: string; type: string; labels: string[]; at: string[]; unit: string; meaning: string };

/** The rows of the page's table. */
function documented(): Documented[] {
  const rows = readFileSync('docs/metrics.md', 'utf8').matchAll(/^\| `(\w+)` *\|(.*)\|$/gm);
  return [...rows].map(([, name = '', rest = '']) => {
    const [type = '', labels = '', at = '', unit = '', meaning = ''] = rest.split('|').map((cell) => cell.trim());
    const list = (cell: string) => (cell === '–' ? [] : cell.split(', ').map((word) => word.replaceAll('`', '')));
    return { name, type, labels: list(labels), at: list(at), unit, meaning };
  });
}

test('M1 docs/metrics.md lists every metric with its type, labels and place, and no other', () => {
  const listed = documented();
  const told = Object.entries(METRICS).map(([name, { type, labels, at }]) => ({
    name,
    type,
    labels: [...labels],
    at: [...at],
  }));
  expect(listed.map(({ name, type, labels, at }) => ({ name, type, labels, at }))).toEqual(told);
  for (const { unit, meaning } of listed) expect([unit, meaning]).not.toContain('');
});

test.each(['gateway', 'web'] as const)(
  'M1 %s tells of every metric that is its to tell, and of no other',
  async (process) => {
    const text = await make(process).text();
    const told = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => ({ name, type }));
    const expected = METRIC_NAMES.filter((name) => METRICS[name].at.some((at) => at === process));
    expect(told).toEqual(expected.map((name) => ({ name, type: METRICS[name].type })));
  },
);

test('M1 names carry their unit and say whose they are', () => {
  for (const name of METRIC_NAMES) {
    expect(name).toMatch(/^holdfast_[a-z_]+$/);
    expect(name.endsWith('_total')).toBe(METRICS[name].type === 'counter');
  }
});

test('M2 what is set takes the place of what was told before, also for totals that are counted elsewhere', async () => {
  const metrics = make('gateway');
  metrics.set('holdfast_host_sessions', [[{ host: 'a' }, 3]]);
  metrics.set('holdfast_host_cpu_seconds_total', [[{ host: 'a' }, 3]]);
  metrics.set('holdfast_received_bytes_total', [[{}, 10]]);
  await metrics.text();
  metrics.set('holdfast_host_sessions', [[{ host: 'b' }, 4]]);
  metrics.set('holdfast_host_cpu_seconds_total', [[{ host: 'b' }, 4]]);
  metrics.set('holdfast_received_bytes_total', [[{}, 12]]);
  metrics.count('holdfast_sockets_opened_total', {});
  metrics.observe('holdfast_echo_seconds', {}, 0.002);
  const text = await metrics.text(1_000);
  expect(text).not.toContain('host="a"');
  expect(text).toContain('holdfast_host_sessions{host="b"} 4\n');
  expect(text).toContain('holdfast_host_cpu_seconds_total{host="b"} 4\n');
  expect(text).toContain('holdfast_received_bytes_total 12\n');
  expect(text).toContain('holdfast_sockets_opened_total 1\n');
  expect(text).toContain('holdfast_echo_seconds_bucket{le="0.0025"} 1\n');
  expect(text).toContain('holdfast_memory_bytes{process="hosts"} 1000\n');
  expect(text).toMatch(/^holdfast_memory_bytes\{process="gateway"\} [1-9]\d{6,}$/m);
});

test('M2 a blocked event loop shows as lag', async () => {
  const metrics = make('gateway');
  const busy = setInterval(() => {
    const until = performance.now() + 200;
    while (performance.now() < until);
  }, 300);
  try {
    const read = async () => {
      const lag = /^holdfast_loop_lag_seconds\{\w+="gateway"\} (\S+)$/m.exec(await metrics.text())?.[1];
      expect(Number(lag)).toBeGreaterThan(0.1);
    };
    await vi.waitFor(read, { timeout: 10_000, interval: 700 });
  } finally {
    clearInterval(busy);
  }
});
