"""What people do, a module each. Here are the actions that share their addresses, by name."""

from chat.features.comings import COMINGS
from chat.features.delete import DELETE
from chat.features.edit import EDIT
from chat.features.link import LINK
from chat.features.reactions import REACTIONS
from chat.features.reply import REPLY
from chat.features.seats import NAME
from chat.features.title import TITLE
from chat.features.unread import UNREAD

ACTIONS = {action.name: action for action in (REACTIONS, REPLY, EDIT, UNREAD, LINK, DELETE)}  # with a message
ROOM_ACTIONS = {action.name: action for action in (TITLE, NAME, COMINGS)}
