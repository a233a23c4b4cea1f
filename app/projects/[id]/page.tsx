/** The workspace of one project, or how to sign in. */
import { homedir } from 'node:os';
import { notFound } from 'next/navigation';
import { SignIn } from '@/components/sign-in/sign-in';
import { WorkspacePage } from '@/components/workspace/workspace-page';
import { projectIdSchema } from '@/lib/protocol/ids';
import { getPageCaller } from '@/lib/server/auth';
import { getContext } from '@/lib/server/context';

type PageProps = {
  params: Promise<{ id: string }>;
  /** `tab` is the session in front. */
  searchParams: Promise<{ tab?: string | string[] }>;
};

export default async function Page({ params, searchParams }: PageProps) {
  const id = projectIdSchema.safeParse((await params).id);
  if (!id.success) notFound();
  const { tab } = await searchParams;
  const caller = await getPageCaller();
  if (!caller) return <SignIn />;
  const { ephemeral } = getContext().config;
  const firstTab = typeof tab === 'string' ? tab : null;
  return <WorkspacePage projectId={id.data} firstTab={firstTab} home={homedir()} isEphemeral={ephemeral} />;
}
