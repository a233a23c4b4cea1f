'use client';
/** Beside the terminals: which project this is, its sessions, and what runs elsewhere. */
import { ChevronsUpDown, FolderPlus, House, Plus } from 'lucide-react';
import Link from 'next/link';
import { Mark } from '@/components/ui/brand';
import { IconButton } from '@/components/ui/button';
import { DropdownMenu, type MenuEntry } from '@/components/ui/menu';
import { shortPath } from '@/components/ui/path-text';
import { ThemeMenu } from '@/components/ui/theme-menu';
import { IdleMark } from './idle-mark';
import { newTerminalEntries } from './new-terminal';
import { SessionBadge } from './session-icon';
import { Attention, ExitBadge } from './terminal-tab';
import type { Tab, Workspace } from './use-workspace';

const ICON = { size: 15, 'aria-hidden': true } as const;
const ROW = 'flex h-8 w-full items-center gap-2.5 rounded-md px-2 text-left transition-colors duration-100';

type SidebarProps = { workspace: Workspace; home: string; onCreateProject: () => void; onDone: () => void };

function Heading({ children }: { children: string }) {
  return <h2 className="flex-1 font-medium text-muted text-xs">{children}</h2>;
}

function ProjectSwitcher({ workspace, home, onCreateProject }: Omit<SidebarProps, 'onDone'>) {
  const { project, projects } = workspace;
  const entries: MenuEntry[] = [
    ...projects.map((other) => ({
      id: other.id,
      label: other.name,
      icon: other.activeCount > 0 ? <span className="size-2 rounded-full bg-ok" /> : <span />,
      isChecked: other.id === project.id,
      onSelect: () => workspace.goTo(other.id),
    })),
    'separator',
    { id: 'new', label: 'New project…', icon: <FolderPlus {...ICON} />, onSelect: onCreateProject },
  ];
  return (
    <DropdownMenu align="start" entries={entries}>
      <button
        type="button"
        aria-label={`Project ${project.name}: switch`}
        title={project.path}
        className="flex min-w-0 flex-1 items-center gap-2 rounded-md px-2 py-1 text-left hover:bg-hover data-[state=open]:bg-hover"
      >
        <span className="min-w-0 flex-1">
          <span className="block truncate font-semibold text-sm leading-[18px]">{project.name}</span>
          <span className="block truncate font-mono text-2xs text-muted leading-[14px]">
            {shortPath(project.path, home)}
          </span>
        </span>
        <ChevronsUpDown size={14} className="shrink-0 text-muted" aria-hidden="true" />
      </button>
    </DropdownMenu>
  );
}

function SessionRow({ tab, onShow, onKeep }: { tab: Tab; onShow: () => void; onKeep: () => void }) {
  return (
    <li className="relative">
      <button
        type="button"
        aria-current={tab.isActive || undefined}
        title={tab.title || tab.tabName}
        className={`${ROW} ${tab.idleEndsAt ? 'pr-14' : ''} ${tab.isActive ? 'bg-hover text-text' : 'text-muted hover:bg-hover hover:text-text'}`}
        onClick={onShow}
      >
        <SessionBadge session={tab} />
        <span className="min-w-0 flex-1 truncate">{tab.tabName}</span>
        {tab.foreground && <span className="max-w-20 truncate font-mono text-2xs text-muted">{tab.foreground}</span>}
        <ExitBadge tab={tab} />
        <IdleMark tab={tab} />
        <Attention tab={tab} />
      </button>
      {tab.idleEndsAt && (
        <button
          type="button"
          aria-label={`Keep ${tab.tabName} running`}
          title="Keep it running"
          className="absolute top-1 right-1 h-6 rounded border border-line-strong bg-raised px-2 font-medium text-2xs hover:bg-hover"
          onClick={onKeep}
        >
          Keep
        </button>
      )}
    </li>
  );
}

/** `onDone` is called when a terminal was chosen: the drawer closes, the sidebar stays. */
export function Sidebar({ workspace, home, onCreateProject, onDone }: SidebarProps) {
  const { project, projects, tabs } = workspace;
  const elsewhere = projects.filter(({ id, pinned, activeCount }) => id !== project.id && (pinned || activeCount > 0));
  return (
    <div className="flex h-full flex-col">
      <div className="flex h-10 shrink-0 items-center gap-0.5 border-line border-b pr-1.5 pl-1.5">
        <Link
          href="/"
          aria-label="All projects"
          title="All projects"
          className="flex size-8 shrink-0 items-center justify-center rounded-md hover:bg-hover"
        >
          <Mark size={19} />
        </Link>
        <ProjectSwitcher workspace={workspace} home={home} onCreateProject={onCreateProject} />
      </div>
      <nav aria-label="Terminals" className="scroll-thin min-h-0 flex-1 overflow-y-auto px-1.5 py-2">
        <div className="flex h-7 items-center pr-0.5 pl-2">
          <Heading>Terminals</Heading>
          <DropdownMenu entries={newTerminalEntries(workspace.create)}>
            <IconButton label="New terminal" size="sm">
              <Plus size={15} aria-hidden="true" />
            </IconButton>
          </DropdownMenu>
        </div>
        <ul className="space-y-px">
          {tabs.map((tab) => (
            <SessionRow
              key={tab.id}
              tab={tab}
              onShow={() => {
                onDone();
                workspace.show(tab.id);
              }}
              onKeep={() => workspace.keep(tab.id)}
            />
          ))}
        </ul>
        {elsewhere.length > 0 && (
          <>
            <div className="mt-4 flex h-7 items-center px-2">
              <Heading>Other projects</Heading>
            </div>
            <ul className="space-y-px">
              {elsewhere.map((other) => (
                <li key={other.id}>
                  <Link
                    href={`/projects/${other.id}`}
                    title={other.path}
                    className={`${ROW} text-muted hover:bg-hover hover:text-text`}
                  >
                    <span className="min-w-0 flex-1 truncate">{other.name}</span>
                    {other.activeCount > 0 && (
                      <span className="flex items-center gap-1.5 text-2xs tabular-nums">
                        <span className="size-1.5 rounded-full bg-ok" aria-hidden="true" />
                        {other.activeCount}
                      </span>
                    )}
                  </Link>
                </li>
              ))}
            </ul>
          </>
        )}
      </nav>
      <div className="flex h-10 shrink-0 items-center justify-between border-line border-t px-1.5">
        <Link href="/" className={`${ROW} w-auto text-muted hover:bg-hover hover:text-text`}>
          <House {...ICON} />
          All projects
        </Link>
        <ThemeMenu />
      </div>
    </div>
  );
}
