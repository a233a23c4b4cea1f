'use client';
/** The dialogs that name a project: a new one, and another name for one. */
import { useRouter } from 'next/navigation';
import { type FormEvent, useState } from 'react';
import { useChangeProject, useCreateProject } from '@/components/data/queries';
import { Button } from '@/components/ui/button';
import { Dialog, DialogFooter } from '@/components/ui/dialog';
import { Field } from '@/components/ui/field';
import { nameFromPath } from '@/components/ui/path-text';
import { ApiError } from '@/lib/client/api';
import { nameSchema, type Project, pathSchema } from '@/lib/protocol/rest';

function mistake(schema: typeof nameSchema, text: string): string | undefined {
  const message = schema.safeParse(text).error?.issues[0]?.message;
  return message && `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}

function nameMistake(name: string): string | undefined {
  return name.trim() === '' ? 'Give it a name.' : mistake(nameSchema, name);
}

function pathMistake(path: string): string | undefined {
  if (path.trim() === '') return 'Which directory? For example ~/code/website';
  if (!/^[/~]/.test(path)) return 'Write the whole path: begin with / or ~/';
  return mistake(pathSchema, path);
}

type Mistakes = { name?: string | undefined; path?: string | undefined };

/** What the server refused belongs to the path, unless it says that it is the name. */
function refusal(error: Error): Mistakes {
  const text =
    error instanceof ApiError && error.code === 'internal' ? `${error.message} (${error.requestId})` : error.message;
  const isName = error instanceof ApiError && /\bname\b/.test(JSON.stringify(error.details ?? ''));
  return isName ? { name: text } : { path: text };
}

/** Asks for a directory and a name; the name follows the path until it is edited. */
export function CreateProjectDialog({ home, onClose }: { home: string; onClose: () => void }) {
  const router = useRouter();
  const create = useCreateProject();
  const [path, setPath] = useState('');
  const [ownName, setOwnName] = useState<string | null>(null);
  const [mistakes, setMistakes] = useState<Mistakes>({});
  const name = ownName ?? nameFromPath(path);

  function submit(event: FormEvent): void {
    event.preventDefault();
    const found = { path: pathMistake(path.trim()), name: nameMistake(name) };
    setMistakes(found);
    if (found.path || found.name) return;
    create.mutate(
      { name: name.trim(), path: path.trim() },
      {
        onSuccess: (project) => router.push(`/projects/${project.id}`),
        onError: (error) => setMistakes(refusal(error)),
      },
    );
  }

  return (
    <Dialog
      title="New project"
      description="A project is a directory on this machine and its terminals."
      onClose={onClose}
    >
      <form onSubmit={submit} noValidate>
        <div className="space-y-2 px-5 pt-4 pb-3">
          <Field
            label="Directory"
            value={path}
            placeholder="~/code/website"
            hint={`A directory that exists; ~ is ${home}`}
            error={mistakes.path}
            isMono
            onChange={({ target }) => {
              setPath(target.value);
              setMistakes({});
            }}
          />
          <Field
            label="Name"
            value={name}
            placeholder="website"
            error={mistakes.name}
            onChange={({ target }) => {
              setOwnName(target.value === '' ? null : target.value);
              setMistakes(({ path: old }) => ({ path: old }));
            }}
          />
        </div>
        <DialogFooter>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" type="submit" isBusy={create.isPending || create.isSuccess}>
            Create project
          </Button>
        </DialogFooter>
      </form>
    </Dialog>
  );
}

/** Asks for another name; the list shows it at once. */
export function RenameProjectDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const change = useChangeProject();
  const [name, setName] = useState(project.name);
  const [error, setError] = useState<string | undefined>();

  function submit(event: FormEvent): void {
    event.preventDefault();
    const found = nameMistake(name);
    setError(found);
    if (found) return;
    if (name.trim() !== project.name) change.mutate({ id: project.id, name: name.trim() });
    onClose();
  }

  return (
    <Dialog title="Rename project" onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <div className="px-5 pt-4 pb-3">
          <Field
            label="Name"
            value={name}
            error={error}
            hint="Only the name in Holdfast changes; the directory keeps its own."
            onFocus={({ target }) => target.select()}
            onChange={({ target }) => {
              setName(target.value);
              setError(undefined);
            }}
          />
        </div>
        <DialogFooter>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" type="submit">
            Rename
          </Button>
        </DialogFooter>
      </form>
    </Dialog>
  );
}
