'use client';
/** The workspace of one project: sidebar, tab strip, terminals and status bar. */
import * as Drawer from '@radix-ui/react-dialog';
import { RotateCw } from 'lucide-react';
import { useState } from 'react';
import { CreateProjectDialog } from '@/components/projects/project-form';
import { Button } from '@/components/ui/button';
import { Confirm } from '@/components/ui/dialog';
import { EmptyWorkspace } from './empty-workspace';
import { useLossNotice } from './loss-notice';
import { useShortcuts } from './shortcuts';
import { Sidebar } from './sidebar';
import { StatusBar } from './status-bar';
import { TabStrip } from './tab-strip';
import { runningProgram } from './tabs';
import { TerminalPanel } from './terminal-panel';
import { useWorkspace, type WorkspaceOptions } from './use-workspace';

/** Lives as long as the project is on the page. */
export function Workspace({ home, ...options }: WorkspaceOptions & { home: string }) {
  const { project } = options;
  const workspace = useWorkspace(options);
  const { tabs, active, asking } = workspace;
  const [isDrawerOpen, setIsDrawerOpen] = useState(false);
  const [isCreatingProject, setIsCreatingProject] = useState(false);
  useShortcuts(workspace);
  useLossNotice(workspace);

  const sidebar = (
    <Sidebar
      workspace={workspace}
      home={home}
      onCreateProject={() => {
        setIsDrawerOpen(false);
        setIsCreatingProject(true);
      }}
      onDone={() => setIsDrawerOpen(false)}
    />
  );

  return (
    <div className="flex h-dvh overflow-hidden bg-bg">
      <title>{`${active ? `${active.tabName} — ` : ''}${project.name} · Holdfast`}</title>
      <aside
        data-part="sidebar"
        aria-label="Project and terminals"
        className="w-58 shrink-0 border-line border-r bg-panel max-md:hidden"
      >
        {sidebar}
      </aside>
      <div className="flex min-w-0 flex-1 flex-col">
        <TabStrip workspace={workspace} onOpenDrawer={() => setIsDrawerOpen(true)} />
        <main className="relative min-h-0 flex-1">
          {tabs
            .filter(({ isOpened }) => isOpened)
            .map((tab) => (
              <TerminalPanel key={`${tab.id} ${tab.epoch}`} tab={tab} workspace={workspace} />
            ))}
          {tabs.length === 0 && !workspace.isLoading && !workspace.error && (
            <EmptyWorkspace workspace={workspace} home={home} />
          )}
          {workspace.error && (
            <div role="alert" className="flex h-full flex-col items-center justify-center gap-1 p-6 text-center">
              <h1 className="font-semibold text-lg">The terminals could not be read</h1>
              <p className="text-muted">{workspace.error.message}</p>
              <Button className="mt-3" onClick={workspace.reload}>
                <RotateCw size={14} aria-hidden="true" />
                Try again
              </Button>
            </div>
          )}
        </main>
        <StatusBar tab={active} handle={workspace.handle} path={project.path} home={home} />
      </div>
      <Drawer.Root open={isDrawerOpen} onOpenChange={setIsDrawerOpen}>
        <Drawer.Portal>
          <Drawer.Overlay className="fixed inset-0 z-40 animate-fade bg-overlay md:hidden" />
          <Drawer.Content
            aria-describedby={undefined}
            className="fixed inset-y-0 left-0 z-50 w-[min(18rem,85vw)] animate-drawer border-line border-r bg-panel shadow-pop outline-none md:hidden"
          >
            <Drawer.Title className="sr-only">Project and terminals</Drawer.Title>
            {sidebar}
          </Drawer.Content>
        </Drawer.Portal>
      </Drawer.Root>
      {isCreatingProject && <CreateProjectDialog home={home} onClose={() => setIsCreatingProject(false)} />}
      {asking && (
        <Confirm
          title={`${runningProgram(asking) ?? 'A program'} is still running`}
          action="End and close"
          onConfirm={() => {
            workspace.stopAsking();
            workspace.end(asking.id);
          }}
          onClose={workspace.stopAsking}
        >
          <p>
            Closing <span className="font-medium text-text">{asking.tabName}</span> ends it and everything that it
            started. To keep it running, leave the tab open: it goes on when you close this window.
          </p>
        </Confirm>
      )}
    </div>
  );
}
