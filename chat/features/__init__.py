"""What people do, a module each. This is the table of contents: what is not in it cannot be done."""

from chat.features.delete import DELETE
from chat.features.edit import EDIT

ACTIONS = {action.name: action for action in (EDIT, DELETE)}
