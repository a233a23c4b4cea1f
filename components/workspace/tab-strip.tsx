'use client';
/** The tabs of a project in their order, dragged with the mouse or moved by keys. */
import { closestCenter, DndContext, type DragEndEvent, MouseSensor, useSensor, useSensors } from '@dnd-kit/core';
import { horizontalListSortingStrategy, SortableContext } from '@dnd-kit/sortable';
import { PanelLeft } from 'lucide-react';
import Link from 'next/link';
import { type KeyboardEvent, useEffect, useRef } from 'react';
import { Mark } from '@/components/ui/brand';
import { IconButton } from '@/components/ui/button';
import { openSidebar, useSidebarOpen } from '@/components/ui/preferences';
import { Tooltip } from '@/components/ui/tooltip';
import { focusTab } from './focus';
import { NewTerminal } from './new-terminal';
import { TerminalTab } from './terminal-tab';
import type { Workspace } from './use-workspace';

/** The mouse must move this far before a click becomes a drag (px). */
const DRAG_FROM_PX = 6;

/** `onOpenDrawer` is for narrow screens, where the sidebar is a drawer. */
export function TabStrip({ workspace, onOpenDrawer }: { workspace: Workspace; onOpenDrawer: () => void }) {
  const { tabs } = workspace;
  const isOpen = useSidebarOpen();
  const sensors = useSensors(useSensor(MouseSensor, { activationConstraint: { distance: DRAG_FROM_PX } }));

  const list = useRef<HTMLDivElement>(null);

  // A window that becomes narrower keeps the tab in front in view.
  useEffect(() => {
    const { current } = list;
    if (!current) return;
    const observer = new ResizeObserver(() =>
      current.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }),
    );
    observer.observe(current);
    return () => observer.disconnect();
  }, []);

  function onDragEnd({ active, over }: DragEndEvent): void {
    const index = tabs.findIndex(({ id }) => id === over?.id);
    if (over && over.id !== active.id && index >= 0) workspace.move(String(active.id), index);
  }

  /** Keys of a focused tab: arrows walk, with Ctrl+Shift they carry the tab along. */
  function onKeyDown(event: KeyboardEvent): void {
    const focused = document.activeElement?.id.replace(/^tab-/, '');
    const index = tabs.findIndex(({ id }) => id === focused);
    const tab = tabs[index];
    if (!tab) return;
    const target = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      if (!event.ctrlKey || !event.shiftKey) focusTab(tabs[(target + tabs.length) % tabs.length]?.id ?? tab.id);
      else if (tabs[target]) workspace.move(tab.id, target);
    } else if (event.key === 'F2') {
      event.preventDefault();
      workspace.rename(tab.id);
    } else if (event.key === 'Delete') {
      event.preventDefault();
      void workspace.close(tab);
    }
  }

  return (
    <header className="relative flex h-10 shrink-0 bg-panel after:absolute after:inset-x-0 after:bottom-0 after:h-px after:bg-line">
      <div className="flex shrink-0 items-center border-line border-r px-1.5">
        <IconButton label="Project and terminals" className="md:hidden" onClick={onOpenDrawer}>
          <PanelLeft size={16} aria-hidden="true" />
        </IconButton>
        <Link
          href="/"
          data-part="home"
          aria-label="All projects"
          title={`${workspace.project.name}: all projects`}
          className="hidden size-8 items-center justify-center rounded-md hover:bg-hover"
        >
          <Mark size={19} />
        </Link>
        <Tooltip text={isOpen ? 'Hide sidebar' : 'Show sidebar'}>
          <IconButton
            label={isOpen ? 'Hide sidebar' : 'Show sidebar'}
            aria-expanded={isOpen}
            className="max-md:hidden"
            onClick={() => openSidebar(!isOpen)}
          >
            <PanelLeft size={16} aria-hidden="true" />
          </IconButton>
        </Tooltip>
      </div>
      <DndContext
        id="tabs"
        sensors={sensors}
        collisionDetection={closestCenter}
        modifiers={[({ transform }) => ({ ...transform, y: 0 })]}
        onDragEnd={onDragEnd}
      >
        <SortableContext items={tabs.map(({ id }) => id)} strategy={horizontalListSortingStrategy}>
          <div
            ref={list}
            role="tablist"
            aria-label="Terminals"
            aria-orientation="horizontal"
            className="scroll-plain z-1 flex min-w-0 overflow-x-auto overscroll-x-contain"
            onKeyDown={onKeyDown}
            onWheel={({ currentTarget, deltaX, deltaY }) => {
              if (deltaX === 0) currentTarget.scrollLeft += deltaY;
            }}
          >
            {tabs.map((tab, index) => (
              <TerminalTab key={tab.id} tab={tab} index={index} workspace={workspace} />
            ))}
          </div>
        </SortableContext>
      </DndContext>
      <NewTerminal create={workspace.create} isCreating={workspace.isCreating} />
    </header>
  );
}
