'use client';
/** The home page: every project as a card. */
import { FolderPlus, LogOut, Plus, RotateCw, Search, SearchX } from 'lucide-react';
import { useRouter } from 'next/navigation';
import { useDeferredValue, useState } from 'react';
import { AwayBanner } from '@/components/data/live';
import { reportFailure, useProjects } from '@/components/data/queries';
import { Wordmark } from '@/components/ui/brand';
import { Button, IconButton } from '@/components/ui/button';
import { shortPath } from '@/components/ui/path-text';
import { ThemeMenu } from '@/components/ui/theme-menu';
import { Tooltip } from '@/components/ui/tooltip';
import { signOut } from '@/lib/client/api';
import type { Project } from '@/lib/protocol/rest';
import { EmptyProjects } from './empty-projects';
import { ProjectCard } from './project-card';
import { CreateProjectDialog } from './project-form';

/** With more projects than this a search field appears. */
const SEARCH_FROM = 6;

function matches(project: Project, text: string, home: string): boolean {
  const wanted = text.trim().toLowerCase();
  return `${project.name} ${shortPath(project.path, home)}`.toLowerCase().includes(wanted);
}

function Message({ icon, title, children }: { icon: React.ReactNode; title: string; children: React.ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-1 rounded-xl border border-line border-dashed px-6 py-16 text-center">
      <span className="mb-2 text-muted">{icon}</span>
      <p className="font-medium text-base text-text">{title}</p>
      <div className="text-muted">{children}</div>
    </div>
  );
}

function Skeleton() {
  return (
    <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(17rem,100%),1fr))] gap-3" aria-label="Loading projects">
      {['a', 'b', 'c'].map((key) => (
        <li key={key} className="min-h-32 animate-late rounded-xl border border-line bg-panel" />
      ))}
    </ul>
  );
}

/** `home` is the server's home directory, which paths show as `~`. */
export function ProjectsHome({ home }: { home: string }) {
  const router = useRouter();
  const { projects, error, isPending, refetch } = useProjects();
  const [isCreating, setIsCreating] = useState(false);
  const [search, setSearch] = useState('');
  const wanted = useDeferredValue(search);
  const shown = projects?.filter((project) => matches(project, wanted, home)) ?? [];
  const running = projects?.reduce((sum, { activeCount }) => sum + activeCount, 0) ?? 0;
  const hasSearch = (projects?.length ?? 0) > SEARCH_FROM;

  function leave(): void {
    signOut().then(
      () => router.refresh(),
      (failure: Error) => reportFailure('Not signed out', failure),
    );
  }

  return (
    <div className="relative flex min-h-dvh flex-col">
      <title>Projects · Holdfast</title>
      <header className="sticky top-0 z-10 border-line border-b bg-bg">
        <div className="mx-auto flex h-13 max-w-6xl items-center gap-1 px-4 sm:px-6">
          <Wordmark />
          <span className="flex-1" />
          <ThemeMenu />
          <Tooltip text="Sign this browser out">
            <IconButton label="Sign out" onClick={leave}>
              <LogOut size={16} aria-hidden="true" />
            </IconButton>
          </Tooltip>
        </div>
      </header>
      <main className="mx-auto w-full max-w-6xl flex-1 px-4 pt-8 pb-16 sm:px-6">
        <div className="mb-5 flex min-h-8 flex-wrap items-center gap-3">
          <div className="flex min-w-0 flex-1 items-baseline gap-3">
            <h1 className="font-semibold text-xl tracking-[-0.015em]">Projects</h1>
            {running > 0 && (
              <p className="whitespace-nowrap text-muted max-[26rem]:hidden">
                {running} {running === 1 ? 'terminal' : 'terminals'} running
              </p>
            )}
          </div>
          {hasSearch && (
            <label className="order-last flex h-8 w-full items-center gap-2 rounded-md border border-line-field bg-bg px-2.5 focus-within:border-accent focus-within:ring-1 focus-within:ring-accent sm:order-none sm:w-60">
              <Search size={15} className="shrink-0 text-muted" aria-hidden="true" />
              <input
                type="search"
                value={search}
                aria-label="Search projects"
                placeholder="Name or path"
                className="min-w-0 flex-1 bg-transparent outline-none"
                onChange={({ target }) => setSearch(target.value)}
              />
            </label>
          )}
          {(projects?.length ?? 0) > 0 && (
            <Button variant="primary" onClick={() => setIsCreating(true)}>
              <Plus size={16} className="-ml-0.5" aria-hidden="true" />
              New project
            </Button>
          )}
        </div>
        {projects ? (
          <>
            {projects.length === 0 && <EmptyProjects onCreate={() => setIsCreating(true)} />}
            {projects.length > 0 && shown.length === 0 && (
              <Message icon={<SearchX size={20} aria-hidden="true" />} title="No project matches">
                No name or path has “{wanted.trim()}” in it.
              </Message>
            )}
            <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(17rem,100%),1fr))] gap-3">
              {shown.map((project) => (
                <ProjectCard key={project.id} project={project} home={home} />
              ))}
            </ul>
          </>
        ) : (
          isPending && <Skeleton />
        )}
        {error && !projects && (
          <Message icon={<FolderPlus size={20} aria-hidden="true" />} title="The projects could not be read">
            <p>{error.message}</p>
            <Button className="mt-4" onClick={() => void refetch()}>
              <RotateCw size={14} aria-hidden="true" />
              Try again
            </Button>
          </Message>
        )}
      </main>
      <div className="sticky bottom-0">
        <AwayBanner />
      </div>
      {isCreating && <CreateProjectDialog home={home} onClose={() => setIsCreating(false)} />}
    </div>
  );
}
