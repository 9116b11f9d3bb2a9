import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Chat } from './chat.jsx';
import { Controls, Lock } from './controls.jsx';
import { Grid } from './grid.jsx';
import { useChanges, useScreen } from './hooks.js';
import { Leaving } from './outgoing.jsx';

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
export function Room({ call, user, meeting, tracks, problem, onToggle, onRecord, onDismiss, onLeave }) {
  useChanges(call);
  const [messages, setMessages] = useState([]);
  const [read, setRead] = useState(0);
  const [chatOpen, setChatOpen] = useState(false);
  const chatButton = useRef(null);
  const arrivals = useArrivals(call);
  const title = meeting?.title ?? 'Meeting';
  const first = useScreen(title);
  const unread = messages.length - read;

  useEffect(() => {
    const receive = ({ detail }) => setMessages((all) => [...all, detail]);
    call.addEventListener('chat', receive);
    return () => call.removeEventListener('chat', receive);
  }, [call]);
  useEffect(() => {
    if (chatOpen) setRead(messages.length);
  }, [chatOpen, messages.length]);

  const closeChat = () => {
    setChatOpen(false);
    chatButton.current.focus();
  };

  // before the next paint: a key pressed right after another has to find what that one changed
  useLayoutEffect(() => {
    const press = (event) => {
      if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      if ( /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      const key = event.key.toLowerCase();
      if (SHORTCUTS[key]) onToggle(SHORTCUTS[key]);
      else if (key === 'c' && chatOpen) closeChat();
      else if (key === 'c') setChatOpen(true);
      else return;
      event.preventDefault(); // nor is the letter typed into the chat that it opens
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  });

  const people = call.participants.size + 1;
  return (
    <main class={`room ${chatOpen ? 'with-chat' : ''}`} data-state={call.state}>
      <header>
        <h1 ref={first} tabIndex={-1} dir="auto">
          {title}
        </h1>
        <span class="hint">
          Number {meeting?.meeting_number} · {people === 1 ? 'only you' : `${people} people`}
        </span>
        {call.encrypted && (
          <span class="hint locked">
            <Lock /> End-to-end encrypted
          </span>
        )}
        <Leaving call={call} />
        <CopyLink />
      </header>
      <div class="notices">
        {call.state === 'connecting' && <p class="notice" role="status">Joining…</p>}
        {call.state === 'lost' && (
          <p class="notice" role="alert">
            The connection was lost. Coming back…
          </p>
        )}
        {call.blocked && (
          <p class="notice" role="alert">
            Sound and picture find no way to the server: a firewall may block them. Trying again…
          </p>
        )}
        {call.link === 'poor' && (
          <p class="notice" role="status">
            Your connection is weak: sound and picture may break off.
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
      </div>
      <p class="hidden" role="status">
        {arrivals}
      </p>
      <p class="hidden" role="status">
        {!chatOpen && unread > 0 && `${unread} unread in the chat.`}
      </p>
      <Controls
        call={call}
        tracks={tracks}
        chatOpen={chatOpen}
        chatButton={chatButton}
        unread={unread}
        onToggle={onToggle}
        onChat={() => setChatOpen(!chatOpen)}
        onRecord={onRecord}
        onLeave={onLeave}
      />
      <Grid call={call} user={user} tracks={tracks} />
      {chatOpen && <Chat call={call} messages={messages} onClose={closeChat} />}
    </main>
  );
}

function CopyLink() {
  const [copied, setCopied] = useState(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      setCopied('Link copied');
    } catch {
      setCopied('Copy the address of this page'); // no secure context, or the browser forbids it
    }
  };
  return (
    <button class="link" onClick={copy}>
      {copied ?? 'Copy link'}
    </button>
  );
}
