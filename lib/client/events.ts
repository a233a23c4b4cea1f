/** The stream of session and project changes from `GET /api/events`, kept open while the page is visible. */
import { type ServerEvent, serverEventSchema } from '@/lib/protocol/rest';

/** First and longest wait before the next try (ms). */
const RETRY_MIN_MS = 400;
const RETRY_MAX_MS = 10_000;
/**
 * A page hidden for this long gives its stream back (ms): browsers open six connections to one origin over HTTP/1.1, so a
 * seventh page could load nothing.
 */
const HIDDEN_MS = 30_000;

export type EventsListener = {
  onEvent(event: ServerEvent): void;
  /** The stream stands, or is away for another reason than a hidden page. */
  onReachable(isReachable: boolean): void;
};

function parse(text: string): ServerEvent | null {
  try {
    const parsed = serverEventSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null; // a newer server may send what this page does not know
  }
}

/** Opens the stream and keeps it open; returns what closes it. */
export function openEvents({ onEvent, onReachable }: EventsListener): () => void {
  let source: EventSource | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let sleep: ReturnType<typeof setTimeout> | undefined;
  let attempts = 0;

  function close(): void {
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  function connect(): void {
    close();
    source = new EventSource('/api/events');
    source.onopen = () => {
      attempts = 0;
      onReachable(true);
    };
    source.onmessage = ({ data }: MessageEvent<string>) => {
      const event = parse(data);
      if (event) onEvent(event);
    };
    // The browser's own retry never comes after a 5xx answer, so every failure is retried here.
    source.onerror = () => {
      close();
      onReachable(false);
      const wait = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempts);
      attempts += 1;
      retry = setTimeout(connect, wait * (0.5 + Math.random() / 2));
    };
  }

  function wake(): void {
    clearTimeout(sleep);
    if (document.visibilityState === 'hidden') {
      sleep = setTimeout(close, HIDDEN_MS);
    } else if (source?.readyState !== EventSource.OPEN) {
      attempts = 0;
      connect();
    }
  }

  document.addEventListener('visibilitychange', wake);
  window.addEventListener('online', wake);
  connect();
  return () => {
    document.removeEventListener('visibilitychange', wake);
    window.removeEventListener('online', wake);
    clearTimeout(sleep);
    close();
  };
}
