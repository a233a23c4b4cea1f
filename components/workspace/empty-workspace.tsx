'use client';
/** A project without terminals: what to start. */
import { Keys } from '@/components/ui/keys';
import { shortPath } from '@/components/ui/path-text';
import type { SessionType } from '@/lib/protocol/control';
import { SessionIcon } from './session-icon';
import type { Workspace } from './use-workspace';

const CHOICES: { type: SessionType; title: string; text: string; keys?: string }[] = [
  { type: 'system', title: 'New shell', text: 'Your login shell, in this directory', keys: 'Ctrl+Alt+T' },
  { type: 'claude', title: 'New Claude', text: 'The coding agent, in this directory' },
];

/** Two large buttons, one for each kind of session. */
export function EmptyWorkspace({ workspace, home }: { workspace: Workspace; home: string }) {
  return (
    <div className="scroll-thin absolute inset-0 flex flex-col items-center overflow-y-auto p-6">
      <div className="my-auto w-full max-w-lg">
        <h1 className="font-semibold text-xl tracking-[-0.015em]">{workspace.project.name}</h1>
        <p className="mt-1 truncate font-mono text-muted text-sm">{shortPath(workspace.project.path, home)}</p>
        <div className="mt-6 grid gap-3 sm:grid-cols-2">
          {CHOICES.map(({ type, title, text, keys }) => (
            <button
              key={type}
              type="button"
              disabled={workspace.isCreating}
              onClick={() => workspace.create(type)}
              className="flex flex-col items-start rounded-xl border border-line bg-panel p-4 text-left transition-colors duration-100 hover:border-line-strong hover:bg-raised disabled:opacity-60"
            >
              <span className="flex w-full items-center justify-between">
                <SessionIcon type={type} size={20} />
                {keys && (
                  <span className="pointer-coarse:hidden">
                    <Keys keys={keys} />
                  </span>
                )}
              </span>
              <span className="mt-4 font-medium text-base">{title}</span>
              <span className="mt-0.5 text-muted">{text}</span>
            </button>
          ))}
        </div>
        <p className="mt-6 text-muted">What you start here runs until you end it, whether or not this page is open.</p>
      </div>
    </div>
  );
}
