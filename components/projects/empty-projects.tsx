/** What a new user sees: what Holdfast does, and the one thing to do next. */
import { FolderPlus, Layers, MonitorSmartphone, RefreshCcw } from 'lucide-react';
import { Button } from '@/components/ui/button';

const LESSONS = [
  {
    Icon: Layers,
    title: 'A project is a directory',
    text: 'Its terminals open there: shells, and agents such as claude.',
  },
  {
    Icon: RefreshCcw,
    title: 'Nothing is lost',
    text: 'Reload, restart the app, close the lid: programs run on, screens come back as they were.',
  },
  {
    Icon: MonitorSmartphone,
    title: 'From any window',
    text: 'Open the same terminal twice. One window sets the size, the others follow.',
  },
];

/** `onCreate` opens the dialog for a new project. */
export function EmptyProjects({ onCreate }: { onCreate: () => void }) {
  return (
    <section className="rounded-xl border border-line bg-panel">
      <div className="flex flex-col items-start gap-4 px-6 pt-8 pb-7 sm:px-8">
        <div>
          <h2 className="font-semibold text-lg tracking-[-0.01em]">Open your first project</h2>
          <p className="mt-1 max-w-[52ch] text-base text-muted">
            Choose a directory on this machine. Nothing in it is changed, and you can remove the project at any time.
          </p>
        </div>
        <Button variant="primary" className="h-9 px-4" onClick={onCreate}>
          <FolderPlus size={16} aria-hidden="true" />
          New project
        </Button>
      </div>
      <ul className="grid border-line border-t sm:grid-cols-3 sm:divide-x sm:divide-line">
        {LESSONS.map(({ Icon, title, text }) => (
          <li key={title} className="border-line px-6 py-5 not-first:border-t sm:px-8 sm:not-first:border-t-0">
            <Icon size={16} className="text-accent" aria-hidden="true" />
            <h3 className="mt-2.5 font-medium">{title}</h3>
            <p className="mt-0.5 text-muted">{text}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
