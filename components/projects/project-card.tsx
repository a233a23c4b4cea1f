'use client';
/** One project of the home page. */
import { Ellipsis, Pencil, Pin, PinOff, Trash2 } from 'lucide-react';
import Link from 'next/link';
import { useState } from 'react';
import { useChangeProject } from '@/components/data/queries';
import { IconButton } from '@/components/ui/button';
import { DropdownMenu, type MenuEntry } from '@/components/ui/menu';
import { shortPath } from '@/components/ui/path-text';
import type { Project } from '@/lib/protocol/rest';
import { RenameProjectDialog } from './project-form';
import { RemoveProjectDialog } from './remove-project-dialog';

const ICON = { size: 15, 'aria-hidden': true } as const;
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** The whole card opens the project; the menu lies above that link. */
export function ProjectCard({ project, home }: { project: Project; home: string }) {
  const [dialog, setDialog] = useState<'rename' | 'remove' | null>(null);
  const change = useChangeProject();
  const path = shortPath(project.path, home);
  const close = () => setDialog(null);

  const entries: MenuEntry[] = [
    { id: 'rename', label: 'Rename…', icon: <Pencil {...ICON} />, onSelect: () => setDialog('rename') },
    {
      id: 'pin',
      label: project.pinned ? 'Unpin' : 'Pin to the top',
      icon: project.pinned ? <PinOff {...ICON} /> : <Pin {...ICON} />,
      onSelect: () => change.mutate({ id: project.id, pinned: !project.pinned }),
    },
    'separator',
    { id: 'remove', label: 'Remove…', icon: <Trash2 {...ICON} />, isDanger: true, onSelect: () => setDialog('remove') },
  ];

  return (
    <li className="group relative flex min-h-32 flex-col rounded-xl border border-line bg-panel p-4 transition-colors duration-100 focus-within:border-line-strong hover:border-line-strong hover:bg-raised">
      <div className="flex items-start gap-2">
        <h2 className="min-w-0 flex-1">
          <Link
            href={`/projects/${project.id}`}
            className="flex items-center gap-1.5 font-semibold text-base text-text outline-none after:absolute after:inset-0 after:rounded-xl focus-visible:after:outline-2 focus-visible:after:outline-accent"
          >
            <span className="truncate" title={project.name}>
              {project.name}
            </span>
            {project.pinned && <Pin size={13} className="shrink-0 text-muted" aria-label="Pinned" />}
          </Link>
        </h2>
        <DropdownMenu entries={entries}>
          <IconButton
            label={`Menu of ${project.name}`}
            size="sm"
            className="relative z-10 -mt-0.5 -mr-1.5 opacity-0 focus-visible:opacity-100 group-focus-within:opacity-100 group-hover:opacity-100 data-[state=open]:opacity-100 pointer-coarse:opacity-100"
          >
            <Ellipsis size={16} aria-hidden="true" />
          </IconButton>
        </DropdownMenu>
      </div>
      <p className="mt-0.5 truncate font-mono text-muted text-xs" title={project.path}>
        {path}
      </p>
      <p className="mt-auto flex items-center gap-2 pt-5 text-muted text-xs">
        {project.activeCount > 0 ? (
          <span className="flex items-center gap-1.5 font-medium text-text">
            <span className="size-2 rounded-full bg-ok" aria-hidden="true" />
            {project.activeCount} running
          </span>
        ) : (
          <span>Nothing running</span>
        )}
        <span className="ml-auto">
          Created <time dateTime={project.createdAt}>{dates.format(new Date(project.createdAt))}</time>
        </span>
      </p>
      {dialog === 'rename' && <RenameProjectDialog project={project} onClose={close} />}
      {dialog === 'remove' && <RemoveProjectDialog project={project} shownPath={path} onClose={close} />}
    </li>
  );
}
