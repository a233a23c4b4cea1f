'use client';
/** Asks before a project leaves Holdfast, and says what happens to its terminals and its files. */
import { useRemoveProject } from '@/components/data/queries';
import { Confirm } from '@/components/ui/dialog';
import type { Project } from '@/lib/protocol/rest';

type RemoveProjectDialogProps = { project: Project; shownPath: string; onClose: () => void };

/** `shownPath` is the path as the card shows it. */
export function RemoveProjectDialog({ project, shownPath, onClose }: RemoveProjectDialogProps) {
  const remove = useRemoveProject();
  const count = project.activeCount;
  const terminals = count === 1 ? '1 terminal' : `${count} terminals`;
  return (
    <Confirm
      title={`Remove ${project.name}?`}
      action={count > 0 ? `End ${terminals} and remove` : 'Remove project'}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate({ id: project.id, end: count > 0 }, { onSettled: onClose })}
      onClose={onClose}
    >
      {count > 0 && (
        <p className="text-text">
          {terminals} {count === 1 ? 'is' : 'are'} running in it. Everything that runs there will be ended.
        </p>
      )}
      <p>The project leaves the list. Files are never touched; this directory stays as it is:</p>
      <p className="truncate font-mono text-xs" title={project.path}>
        {shownPath}
      </p>
    </Confirm>
  );
}
