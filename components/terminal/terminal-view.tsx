'use client';
/** The terminal of one session on the page. */
import '@xterm/xterm/css/xterm.css';
import { Minimize2 } from 'lucide-react';
import { useEffect, useEffectEvent, useRef, useState, useSyncExternalStore } from 'react';
import { Confirm } from '@/components/ui/dialog';
import type { Theme } from '@/components/ui/preferences';
import type { TerminalConnection } from '@/lib/client/connection';
import { causeOfLoss, isLoss } from '@/lib/client/endings';
import type { Exit } from '@/lib/client/facts';
import type { Ticket } from '@/lib/client/link';
import type { Mode } from '@/lib/protocol/wire';
import { ConnectionBanner } from './connection-banner';
import { EndedBar, LostBar, NoScreen } from './ended-bar';
import { type HistoryHandle, HistoryView } from './history-view';
import { openLinkHint } from './links';
import type { HistoryInput } from './open-history';
import { type OpenTerminal, openTerminal } from './open-terminal';
import { SearchBar } from './search-bar';

/** What others on the page may use of a terminal. */
export type TerminalHandle = {
  connection: TerminalConnection;
  /** Whether older output than the oldest line in sight can be in the history only. */
  hasEarlier: boolean;
  showHistory: () => void;
};

type TerminalViewProps = {
  sessionId: string;
  mode: Mode;
  isVisible: boolean;
  theme: Theme;
  /** Whether the page reaches the server: when it does again, a lost connection is tried at once. */
  isReachable?: boolean;
  /** How the session was lost, as far as that is known, and where it can start again; null while it is not lost. */
  lost?: { exit: Exit | null; path: string } | null;
  getTicket: () => Promise<Ticket>;
  /** Takes the terminal's handle when it is open and when that changes, and null when it closes. */
  onHandle?: (handle: TerminalHandle | null) => void;
  onRestart: () => void;
  onBell: () => void;
};

type Question = { lines: number; answer: (isWanted: boolean) => void };

const subscribeNever = () => () => undefined;
const nothing = () => null;

export function TerminalView(props: TerminalViewProps) {
  const { sessionId, mode, isVisible, theme, isReachable = true, lost = null } = props;
  const root = useRef<HTMLDivElement>(null);
  const area = useRef<HTMLDivElement>(null);
  const mount = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<OpenTerminal | null>(null);
  const [link, setLink] = useState<string | null>(null);
  /** How often the search was asked for since it was closed. */
  const [findCalls, setFindCalls] = useState(0);
  const [isAtTop, setIsAtTop] = useState(false);
  const [isPast, setIsPast] = useState(false);
  const [history, setHistory] = useState<HistoryHandle | null>(null);
  const [isScaled, setIsScaled] = useState(false);
  const [question, setQuestion] = useState<Question | null>(null);
  const facts = useSyncExternalStore(
    open?.connection.subscribe ?? subscribeNever,
    open?.connection.getSnapshot ?? nothing,
    nothing,
  );

  const isFinding = findCalls > 0;
  const hasEarlier = isAtTop && !isPast;
  const find = () => setFindCalls((calls) => calls + 1);

  const getTheme = useEffectEvent(() => theme);
  const getTicket = useEffectEvent(() => props.getTicket());
  const onBell = useEffectEvent(() => props.onBell());
  const onHandle = useEffectEvent((handle: TerminalHandle | null) => props.onHandle?.(handle));

  useEffect(() => {
    if (!root.current || !area.current || !mount.current) return;
    const opened = openTerminal({
      area: area.current,
      mount: mount.current,
      mode,
      theme: getTheme(),
      getTicket: () => getTicket(),
      onLink: setLink,
      onFind: () => setFindCalls((calls) => calls + 1),
      onHistory: () => setIsPast(true),
      onTop: setIsAtTop,
      onBell: () => onBell(),
      onScaled: setIsScaled,
      askPaste: (lines) => new Promise((answer) => setQuestion({ lines, answer })),
    });
    const { terminal, connection } = opened;
    // For tests that look into the page; it gives no rights that the page does not have.
    Object.assign(root.current, { holdfast: { sessionId, terminal, connection } });
    setOpen(opened);
    return () => {
      opened.dispose();
      setOpen(null);
      setIsPast(false);
    };
  }, [sessionId, mode]);

  useEffect(() => {
    if (!open) return;
    onHandle({ connection: open.connection, hasEarlier, showHistory: () => setIsPast(true) });
    return () => onHandle(null);
  }, [open, hasEarlier]);
  useEffect(() => open?.setTheme(theme, isFinding), [open, theme, isFinding]);
  useEffect(() => open?.setVisible(isVisible), [open, isVisible]);
  useEffect(() => {
    if (isReachable) open?.connection.gatewayIsBack();
  }, [open, isReachable]);

  function answer(isWanted: boolean): void {
    question?.answer(isWanted);
    setQuestion(null);
    open?.terminal.focus();
  }

  const { kind } = facts?.state ?? { kind: 'connecting' };
  const isOver = kind === 'ended' || (kind === 'failed' && lost !== null);
  const exit = facts?.state.kind === 'ended' ? facts.state.exit : null;
  const hasScreen = open !== null && open.connection.parsedPosition !== null;

  function leaveHistory(input?: HistoryInput): void {
    const isTouched = matchMedia('(pointer: coarse)').matches;
    // The focus of a phone brings up its keyboard: only who typed wants that.
    if (!isTouched || root.current?.querySelector('textarea:focus')) open?.terminal.focus();
    setIsPast(false);
    if (!input) return;
    if ('typed' in input) open?.terminal.input(input.typed);
    else void open?.paste(input.pasted);
  }

  return (
    <div
      ref={root}
      data-testid="terminal"
      data-session-id={sessionId}
      data-state={kind}
      className="relative flex size-full flex-col overflow-hidden bg-bg"
    >
      <div
        ref={area}
        className={`flex min-h-0 flex-1 items-center justify-center overflow-hidden pt-2 pl-3 ${isScaled ? 'bg-panel' : ''}`}
      >
        <div ref={mount} className={`shrink-0 ${isScaled ? 'outline-1 outline-line' : ''}`} />
      </div>
      {open && isPast && (
        <HistoryView
          sessionId={sessionId}
          live={open}
          theme={theme}
          isFinding={isFinding}
          onHandle={setHistory}
          onLink={setLink}
          onFind={find}
          onLeave={leaveHistory}
        />
      )}
      {open && facts && !(isOver && kind === 'failed') && (
        <ConnectionBanner facts={facts} connection={open.connection} />
      )}
      {open && isFinding && (
        <SearchBar
          searched={history ?? open}
          theme={theme}
          calls={findCalls}
          onClose={() => {
            setFindCalls(0);
            (history ?? open).terminal.focus();
          }}
        />
      )}
      {isScaled && kind === 'live' && !isPast && (
        <div className="absolute right-4 bottom-2 z-10 flex animate-fade items-center gap-2 rounded-md border border-line bg-raised/95 px-2.5 py-1 text-muted text-xs">
          <Minimize2 size={13} aria-hidden="true" />
          Sized by another window
          {mode === 'write' && (
            <button
              type="button"
              className="font-medium text-accent hover:underline"
              onClick={() => {
                open?.connection.take();
                open?.terminal.focus();
              }}
            >
              Take over
            </button>
          )}
        </div>
      )}
      {isOver && !isPast && <Ending exit={exit} lost={lost} hasScreen={hasScreen} onRestart={props.onRestart} />}
      {link && (
        <div className="pointer-events-none absolute bottom-2 left-3 z-20 max-w-[80%] truncate rounded-md border border-line bg-raised/95 px-2 py-0.5 text-xs shadow-pop">
          <span className="font-mono">{link}</span> <span className="text-muted">{openLinkHint()}</span>
        </div>
      )}
      {question && (
        <Confirm
          title={question.lines > 1 ? `Paste ${question.lines} lines?` : 'Paste control characters?'}
          action="Paste"
          isHarmless
          onConfirm={() => answer(true)}
          onClose={() => answer(false)}
        >
          <p>
            {question.lines > 1
              ? 'The program in this terminal takes pasted text like typed text: each line may run at once.'
              : 'The text holds control characters, and the program in this terminal acts on them.'}
          </p>
        </Confirm>
      )}
    </div>
  );
}

type EndingProps = {
  exit: Exit | null;
  lost: TerminalViewProps['lost'];
  hasScreen: boolean;
  onRestart: () => void;
};

/** What the host said at the end goes before what the list says: it is about the screen that is shown. */
function Ending({ exit, lost, hasScreen, onRestart }: EndingProps) {
  if (exit && !isLoss(exit)) return <EndedBar exit={exit} onRestart={onRestart} />;
  if (!lost && !exit) return <EndedBar exit={null} onRestart={onRestart} />;
  const cause = exit ?? lost?.exit ?? null;
  if (hasScreen) return <LostBar exit={cause} onRestart={onRestart} />;
  return <NoScreen title={`Lost: ${causeOfLoss(cause)}`} path={lost?.path ?? ''} onRestart={onRestart} />;
}
