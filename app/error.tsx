'use client';
/** For mistakes of a page itself; the terminals know nothing of them. */
import { RotateCw } from 'lucide-react';
import { Mark } from '@/components/ui/brand';
import { Button } from '@/components/ui/button';

export default function PageError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-1 p-6 text-center">
      <title>Something went wrong · Holdfast</title>
      <Mark size={28} />
      <h1 className="mt-4 font-semibold text-lg">This page has stumbled</h1>
      <p className="max-w-md text-muted">Your shells keep running; they do not depend on it.</p>
      {error.digest && <p className="font-mono text-2xs text-muted">{error.digest}</p>}
      <Button className="mt-4" onClick={reset}>
        <RotateCw size={14} aria-hidden="true" />
        Try again
      </Button>
    </main>
  );
}
