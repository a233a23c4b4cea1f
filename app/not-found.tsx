/** For addresses that lead nowhere. */
import Link from 'next/link';
import { Mark } from '@/components/ui/brand';

export default function NotFound() {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-1 p-6 text-center">
      <title>Not found · Holdfast</title>
      <Mark size={28} />
      <h1 className="mt-4 font-semibold text-lg">There is nothing at this address</h1>
      <p className="text-muted">Check it for a mistake, or begin at your projects.</p>
      <Link
        href="/"
        className="mt-4 inline-flex h-8 items-center rounded-md border border-line-strong px-3 font-medium hover:bg-hover"
      >
        All projects
      </Link>
    </main>
  );
}
