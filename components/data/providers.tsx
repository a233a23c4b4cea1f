'use client';
/** What every page stands on: the query cache, the event stream, tooltips and toasts. */
import * as Tooltip from '@radix-ui/react-tooltip';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { useRouter } from 'next/navigation';
import { type ReactNode, useState } from 'react';
import { Toaster } from 'sonner';
import { useTheme } from '@/components/ui/preferences';
import { ApiError } from '@/lib/client/api';
import { ERRORS } from '@/lib/protocol/errors';
import { Live } from './live';

const RETRIES_MAX = 3;

function isWorthRetrying(error: Error): boolean {
  return error instanceof ApiError && ERRORS[error.code].action === 'retry';
}

/** `isSignedIn` is false on the sign-in page, which has nothing to listen to. */
export function Providers({ isSignedIn, children }: { isSignedIn: boolean; children: ReactNode }) {
  const router = useRouter();
  const theme = useTheme();
  const [client] = useState(() => {
    // The server decides what a caller without a cookie sees.
    const onError = (error: Error) => {
      if (error instanceof ApiError && error.code === 'unauthorized') router.refresh();
    };
    return new QueryClient({
      queryCache: new QueryCache({ onError }),
      mutationCache: new MutationCache({ onError }),
      defaultOptions: {
        queries: {
          // The server may well be this machine: being offline says nothing about it.
          networkMode: 'always',
          staleTime: 30_000,
          // A page that comes back joins the event stream again, which reads everything afresh.
          refetchOnWindowFocus: false,
          retry: (failures, error) => failures < RETRIES_MAX && isWorthRetrying(error),
        },
        mutations: { networkMode: 'always' },
      },
    });
  });
  return (
    <QueryClientProvider client={client}>
      <Tooltip.Provider delayDuration={400} skipDelayDuration={150}>
        {isSignedIn ? <Live>{children}</Live> : children}
      </Tooltip.Provider>
      <Toaster
        theme={theme}
        position="bottom-right"
        offset={{ top: 48, bottom: 40, right: 16 }}
        mobileOffset={{ top: 48, bottom: 40 }}
        toastOptions={{
          style: {
            background: 'var(--hf-raised)',
            color: 'var(--hf-text)',
            borderColor: 'var(--hf-border)',
            fontFamily: 'var(--font-geist-sans)',
            fontSize: 13,
            boxShadow: 'var(--hf-shadow)',
          },
          classNames: {
            description: 'text-muted!',
            error: '[&_[data-icon]]:text-danger',
            warning: '[&_[data-icon]]:text-warn',
          },
        }}
      />
    </QueryClientProvider>
  );
}
