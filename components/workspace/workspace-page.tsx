'use client';
/** A project by its id: the workspace, or why there is none. */
import { FolderX, RotateCw, Unplug } from 'lucide-react';
import Link from 'next/link';
import type { ReactNode } from 'react';
import { useAway } from '@/components/data/live';
import { useProjects } from '@/components/data/queries';
import { Mark } from '@/components/ui/brand';
import { Button } from '@/components/ui/button';
import { Workspace } from './workspace';

function Centre({ children }: { children: ReactNode }) {
  return <main className="flex min-h-dvh flex-col items-center justify-center gap-2 p-6 text-center">{children}</main>;
}

type WorkspacePageProps = {
  projectId: string;
  /** The session that is in front when the page opens. */
  firstTab: string | null;
  /** The server's home directory, which paths show as `~`. */
  home: string;
  isEphemeral: boolean;
};

/** Finds the project among the caller's. */
export function WorkspacePage({ projectId, ...rest }: WorkspacePageProps) {
  const { projects, error, refetch } = useProjects();
  const away = useAway();
  const project = projects?.find(({ id }) => id === projectId);
  if (project) return <Workspace key={project.id} project={project} {...rest} />;
  // A web server that has just begun knows no projects until the gateway tells it.
  if (projects && away) {
    return (
      <Centre>
        <title>Holdfast</title>
        <Unplug size={24} className="mb-2 text-warn" aria-hidden="true" />
        <h1 className="font-semibold text-lg">{away}</h1>
        <p className="text-muted">This page opens by itself when it is back.</p>
      </Centre>
    );
  }
  if (projects) {
    return (
      <Centre>
        <title>No such project · Holdfast</title>
        <FolderX size={24} className="mb-2 text-muted" aria-hidden="true" />
        <h1 className="font-semibold text-lg">This project is not here</h1>
        <p className="text-muted">It was removed, or the address has a mistake.</p>
        <Link
          href="/"
          className="mt-3 inline-flex h-8 items-center rounded-md border border-line-strong px-3 font-medium hover:bg-hover"
        >
          All projects
        </Link>
      </Centre>
    );
  }
  if (error) {
    return (
      <Centre>
        <title>Holdfast</title>
        <h1 className="font-semibold text-lg">The project could not be read</h1>
        <p className="text-muted">{error.message}</p>
        <Button className="mt-3" onClick={() => void refetch()}>
          <RotateCw size={14} aria-hidden="true" />
          Try again
        </Button>
      </Centre>
    );
  }
  return (
    <Centre>
      <title>Holdfast</title>
      <span className="animate-late text-muted" role="status" aria-label="Loading">
        <Mark size={28} />
      </span>
    </Centre>
  );
}
