import { useEffect, useRef, useState } from 'preact/hooks';
import { Chat } from './chat.jsx';
import { Controls } from './controls.jsx';
import { Grid } from './grid.jsx';
import { useChanges } from './hooks.js';

const SHORTCUTS = { m: 'microphone', v: 'camera', s: 'screen' };

/** What changed in who is there, as a sentence for a screen reader. */
function useArrivals(call) {
  const known = useRef(new Map());
  const [sentence, setSentence] = useState('');
  const now = new Map([...call.participants.values()].map(({ userId, username }) => [userId, username]));
  useEffect(() => {
    const came = [...now].filter(([id]) => !known.current.has(id)).map(([, name]) => `${name} joined.`);
    const left = [...known.current].filter(([id]) => !now.has(id)).map(([, name]) => `${name} left.`);
    known.current = now;
    if (came.length || left.length) setSentence([...came, ...left].join(' '));
  }, [[...now.keys()].join()]);
  return sentence;
}

/** The call itself. */
export function Room({ call, user, meeting, tracks, problem, onToggle, onDismiss, onLeave }) {
  useChanges(call);
  const [messages, setMessages] = useState([]);
  const [read, setRead] = useState(0);
  const [chatOpen, setChatOpen] = useState(false);
  const arrivals = useArrivals(call);

  useEffect(() => {
    const receive = ({ detail }) => setMessages((all) => [...all, detail]);
    call.addEventListener('chat', receive);
    return () => call.removeEventListener('chat', receive);
  }, [call]);
  useEffect(() => {
    if (chatOpen) setRead(messages.length);
  }, [chatOpen, messages.length]);

  useEffect(() => {
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      const source = SHORTCUTS[event.key.toLowerCase()];
      if (source) onToggle(source);
      else if (event.key.toLowerCase() === 'c') setChatOpen((open) => !open);
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  });

  const people = call.participants.size + 1;
  return (
    <div class={`room ${chatOpen ? 'with-chat' : ''}`} data-state={call.state}>
      <header>
        <h1>{meeting?.title ?? 'Meeting'}</h1>
        <span class="hint">
          Number {meeting?.meeting_number} · {people === 1 ? 'only you' : `${people} people`}
        </span>
        <CopyLink />
      </header>
      {call.state === 'connecting' && <p class="notice" role="status">Joining…</p>}
      {call.state === 'lost' && (
        <p class="notice" role="alert">
          The connection was lost. Coming back…
        </p>
      )}
      {problem && (
        <p class="notice problem" role="alert">
          {problem}{' '}
          <button class="link" onClick={onDismiss}>
            Dismiss
          </button>
        </p>
      )}
      <p class="hidden" role="status">
        {arrivals}
      </p>
      <Grid call={call} user={user} tracks={tracks} />
      {chatOpen && <Chat messages={messages} onSend={(text) => call.chat(text)} onClose={() => setChatOpen(false)} />}
      <Controls
        tracks={tracks}
        chatOpen={chatOpen}
        unread={messages.length - read}
        onToggle={onToggle}
        onChat={() => setChatOpen(!chatOpen)}
        onLeave={onLeave}
      />
    </div>
  );
}

function CopyLink() {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(location.href);
    setCopied(true);
  };
  return (
    <button class="link" onClick={copy}>
      {copied ? 'Link copied' : 'Copy link'}
    </button>
  );
}
