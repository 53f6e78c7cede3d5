"""What people do, a module each. This is the table of contents: what is not in it cannot be done."""

from chat.features.comings import COMINGS
from chat.features.delete import DELETE
from chat.features.edit import EDIT
from chat.features.reactions import REACTIONS
from chat.features.reply import REPLY
from chat.features.seats import NAME
from chat.features.title import TITLE
from chat.features.unread import UNREAD

ACTIONS = {action.name: action for action in (REACTIONS, REPLY, EDIT, UNREAD, DELETE)}  # with a message
ROOM_ACTIONS = {action.name: action for action in (TITLE, NAME, COMINGS)}
