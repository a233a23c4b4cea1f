'use client';
/** The page for a browser that Holdfast does not know: it redeems the login link, or says where to get one. */
import { CircleAlert, Copy, KeyRound, LoaderCircle } from 'lucide-react';
import { type ReactNode, useEffect, useReducer, useRef } from 'react';
import { toast } from 'sonner';
import { Wordmark } from '@/components/ui/brand';
import { Button, IconButton } from '@/components/ui/button';
import { ThemeMenu } from '@/components/ui/theme-menu';
import { ApiError, signIn } from '@/lib/client/api';

type State = { step: 'reading' | 'opening' | 'no-token' | 'used' } | { step: 'failed'; message: string };

function refused(error: unknown): State {
  const isRefusal = error instanceof ApiError && ['unauthorized', 'bad_request'].includes(error.code);
  if (isRefusal) return { step: 'used' };
  return { step: 'failed', message: error instanceof Error ? error.message : 'Holdfast cannot be reached.' };
}

function Command({ children }: { children: string }) {
  function copy(): void {
    navigator.clipboard.writeText(children).then(
      () => toast.success('Copied'),
      () => toast.error('The browser did not let it be copied'),
    );
  }
  return (
    <div className="mt-3 flex h-9 items-center rounded-md border border-line bg-panel pr-1.5 pl-3 font-mono text-sm text-text">
      <span className="mr-2 select-none text-accent" aria-hidden="true">
        ❯
      </span>
      <code className="flex-1">{children}</code>
      <IconButton label="Copy the command" size="sm" onClick={copy}>
        <Copy size={14} aria-hidden="true" />
      </IconButton>
    </div>
  );
}

function Notice({ icon, title, children }: { icon: ReactNode; title: string; children?: ReactNode }) {
  return (
    <div className="flex gap-3">
      <span className="mt-0.5 shrink-0">{icon}</span>
      <div className="min-w-0 flex-1">
        <h1 className="font-semibold text-base text-text">{title}</h1>
        {children && <div className="mt-1 text-muted">{children}</div>}
      </div>
    </div>
  );
}

function Explanation({ state, onRetry }: { state: State; onRetry: () => void }) {
  switch (state.step) {
    case 'reading':
      return null;
    case 'opening':
      return (
        <Notice
          icon={<LoaderCircle size={16} className="animate-spin text-accent" aria-hidden="true" />}
          title="Opening your workspace…"
        />
      );
    case 'no-token':
      return (
        <Notice icon={<KeyRound size={16} className="text-accent" aria-hidden="true" />} title="Open a login link">
          <p>
            Holdfast runs on your machine and lets in only browsers that you sent here. Use the link that it printed at
            its start, or print a fresh one in its folder:
          </p>
          <Command>npm run open</Command>
        </Notice>
      );
    case 'used':
      return (
        <Notice
          icon={<CircleAlert size={16} className="text-warn" aria-hidden="true" />}
          title="This link was used or has expired"
        >
          <p>A login link opens one browser, once, within ten minutes. Print a fresh one in the folder of Holdfast:</p>
          <Command>npm run open</Command>
        </Notice>
      );
    case 'failed':
      return (
        <Notice icon={<CircleAlert size={16} className="text-danger" aria-hidden="true" />} title="Not signed in yet">
          <p>{state.message} The link is still good.</p>
          <Button className="mt-3" onClick={onRetry}>
            Try again
          </Button>
        </Notice>
      );
  }
}

function redeem(token: string, dispatch: (state: State) => void): void {
  dispatch({ step: 'opening' });
  signIn(token).then(
    () => window.location.reload(),
    (error: unknown) => dispatch(refused(error)),
  );
}

/** Takes the token out of the address bar, so that no history keeps it, and trades it for the cookie. */
export function SignIn() {
  const [state, dispatch] = useReducer((_: State, next: State) => next, { step: 'reading' });
  const token = useRef<string | null>(null);

  // The token is in the address bar, which is outside React; a second run finds it taken.
  useEffect(() => {
    function read(): void {
      const found = new URLSearchParams(window.location.hash.slice(1)).get('t');
      if (found) {
        token.current = found;
        window.history.replaceState(null, '', window.location.pathname + window.location.search);
        redeem(found, dispatch);
      } else if (!token.current) dispatch({ step: 'no-token' });
    }
    read();
    window.addEventListener('hashchange', read);
    return () => window.removeEventListener('hashchange', read);
  }, []);

  return (
    <div className="flex min-h-dvh flex-col">
      <title>Sign in · Holdfast</title>
      <header className="flex h-12 items-center justify-end px-4">
        <ThemeMenu />
      </header>
      <main className="flex flex-1 flex-col items-center px-4 pt-[14vh] pb-16">
        <div className="w-full max-w-[25rem]">
          <Wordmark isLarge />
          <p className="mt-3 mb-6 text-base text-muted">
            Terminals that hold fast: close the laptop, restart the app, come back, and every program still runs.
          </p>
          <div aria-live="polite" className="min-h-40 rounded-xl border border-line bg-raised p-5">
            <Explanation state={state} onRetry={() => token.current && redeem(token.current, dispatch)} />
          </div>
        </div>
      </main>
    </div>
  );
}
