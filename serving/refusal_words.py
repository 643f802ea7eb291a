"""What a refusal says, by key, in both languages; braces name the values that fill them.

A key is the stable code that callers are told, with a particular behind a dot where one code has several sentences:
``unknown_name.line`` is told as ``unknown_name``.
"""

from collections.abc import Mapping
from typing import Final

from serving.reasons import Wording

_ALL = (
    # Any refusal whose sentence is not among those below, by its code: the head in both languages, what is wrong behind.
    Wording("bad_request", "{detail}", "请求格式不正确：{detail}"),
    Wording("unauthenticated", "{detail}", "无法确认身份：{detail}"),
    Wording("forbidden", "{detail}", "没有权限：{detail}"),
    Wording("not_found", "{detail}", "地址不存在：{detail}"),
    Wording("method_not_allowed", "{detail}", "该地址不接受此请求方法：{detail}"),
    Wording("too_slow", "{detail}", "等待请求超时或连接中断：{detail}"),
    Wording("conflict", "{detail}", "与当前状态冲突：{detail}"),
    Wording("expired", "{detail}", "已过期：{detail}"),
    Wording("too_large", "{detail}", "内容过大：{detail}"),
    Wording("unsupported_media_type", "{detail}", "不接受此内容类型：{detail}"),
    Wording("invalid_input", "{detail}", "输入无效：{detail}"),
    Wording("unknown_name", "{detail}", "名称不存在：{detail}"),
    Wording("target_unavailable", "{detail}", "数据不足以计算该目标：{detail}"),
    Wording("no_feasible_setpoint", "{detail}", "没有可行的设定：{detail}"),
    Wording("rate_limited", "{detail}", "请求过于频繁：{detail}"),
    Wording("not_installed", "{detail}", "服务未安装所需组件：{detail}"),
    Wording("overloaded", "{detail}", "服务繁忙：{detail}"),
    Wording("deadline", "{detail}", "未在期限内得到结果：{detail}"),
    Wording("refused", "{detail}", "请求被拒绝：{detail}"),
    # Who asks.
    Wording(
        "unauthenticated.no_keys",
        "no key is known to this service; create one: superheat-serve keys create",
        "本服务尚无密钥；请用 superheat-serve keys create 创建。",
    ),
    Wording(
        "unauthenticated.none_sent",
        "send a key: authorization: Bearer sh_...",
        "未提供密钥；请随请求发送：authorization: Bearer sh_...",
    ),
    Wording(
        "unauthenticated.unknown",
        "the key or token is unknown, expired or revoked; ask the service's admin for another",
        "密钥或令牌无效、已过期或已撤销；请向管理员索取新的。",
    ),
    Wording(
        "two_secrets",
        "send authorization or x-api-key, not both",
        "authorization 与 x-api-key 只能发送其一。",
    ),
    Wording("hour_over", "the hour without keys is over; create a key", "免密钥试用时间已过；请创建密钥。"),
    Wording(
        "overloaded.keys",
        "the service cannot read its keys; tell its admin",
        "服务无法读取密钥文件；请通知管理员。",
    ),
    Wording("forbidden.no_role", "this identity has no role here", "该身份在此没有角色。"),
    Wording("forbidden.no_lines", "this identity has no lines here", "该身份在此没有可见的系列。"),
    Wording(
        "role_too_low",
        "this takes the role {needed}; yours is {role}",
        "此操作需要“{needed}”角色；您的角色是“{role}”。",
    ),
    Wording(
        "rate_limited.requests",
        "more than {per_second:g} requests a second; wait {wait} s",
        "每秒请求超过 {per_second:g} 次；请等待 {wait} 秒。",
    ),
    # What is asked for.
    Wording("not_found.address", "there is nothing at this address", "该地址没有内容。"),
    Wording(
        "method_not_allowed.address",
        "this address takes {methods} only",
        "该地址只接受 {methods} 请求。",
    ),
    Wording(
        "unknown_name.line",
        "line {line!r} has no record here, or it is not yours; post its rows as history first",
        "系列 {line} 在此没有记录，或不属于您；请先上传其历史数据。",
    ),
    Wording(
        "unknown_name.cells",
        "line {line!r} has no cells here, or it is not yours",
        "系列 {line} 在此没有电解槽，或不属于您。",
    ),
    Wording(
        "unknown_name.no_days",
        "line {line!r} has no cell day yet; post cell_days as history",
        "系列 {line} 尚无槽日数据；请上传 cell_days。",
    ),
    Wording(
        "unknown_name.cell", "cell {cell!r} is not here, or not yours", "电解槽 {cell} 不存在，或不属于您。"
    ),
    Wording(
        "unknown_name.cell_of_line",
        "cell {cell!r} of line {line!r} is not here, or not yours",
        "系列 {line} 的电解槽 {cell} 不存在，或不属于您。",
    ),
    Wording(
        "unknown_name.cell_record",
        "cell {cell!r} of line {line} has no record",
        "系列 {line} 的电解槽 {cell} 没有记录。",
    ),
    Wording(
        "unknown_name.recommendation",
        "there is no recommendation {recommendation!r} in the ledger",
        "台账中没有建议 {recommendation}。",
    ),
    Wording(
        "unknown_name.lever",
        "the model has no lever {lever!r}; it has {offered}",
        "模型没有可调量 {lever}；可用的是 {offered}。",
    ),
    Wording(
        "unknown_name.model",
        "model {model!r} is not served; its index names those that are",
        "模型 {model} 未投入使用；请查看模型索引。",
    ),
    Wording(
        "which_line",
        "cell {cell!r} stands in the lines {lines}; say which: line_id",
        "电解槽 {cell} 同时出现在系列 {lines}；请用 line_id 指明。",
    ),
    Wording(
        "which_model",
        "several models are served, name one of {models}",
        "有多个模型在用；请指明其一：{models}。",
    ),
    Wording(
        "invalid_input.no_days",
        "line {line} has no cell day yet; post cell_days as history",
        "系列 {line} 尚无槽日数据；请上传 cell_days。",
    ),
    Wording(
        "invalid_input.record_ends",
        "the record of line {line} ends on {last}, {days} days before {date}; post newer rows as history",
        "系列 {line} 的记录止于 {last}，早于 {date} {days} 天；请上传更新的数据。",
    ),
    Wording(
        "invalid_input.ahead",
        "date {date} lies ahead: today is {today} at line {line}; decide day by day",
        "日期 {date} 尚未到来：系列 {line} 今天是 {today}；请逐日决策。",
    ),
    Wording(
        "invalid_input.span",
        "last {last} is before first {first}; swap them",
        "结束日期 {last} 早于开始日期 {first}；请对调。",
    ),
    Wording(
        "other_world",
        "line {line} is {kind}, the model was made for a {made_for} one; it does not advise here",
        "系列 {line} 是{kind}系列，而模型为{made_for}系列建立；不在此给出建议。",
    ),
    # Deciding.
    Wording(
        "cell_off",
        "advice is off for cell {cell}; an engineer can turn it on",
        "电解槽 {cell} 已停用建议；工程师可重新启用。",
    ),
    Wording(
        "nothing_to_decide",
        "recommendation {recommendation} is {status}: decide nothing",
        "建议 {recommendation} 为“{status}”：无需决定。",
    ),
    Wording(
        "already_decided",
        "recommendation {recommendation} is decided already",
        "建议 {recommendation} 已有决定。",
    ),
    Wording(
        "superseded",
        "recommendation {recommendation} is superseded; {newest} stands for cell {cell}",
        "建议 {recommendation} 已被取代；电解槽 {cell} 现行建议为 {newest}。",
    ),
    Wording(
        "expired.recommendation",
        "recommendation {recommendation} expired at {at}; ask for a new one",
        "建议 {recommendation} 已于 {at} 过期；请重新请求。",
    ),
    Wording(
        "invalid_input.not_offered",
        "recommendation {recommendation} offers no lever {lever!r}; it offers {offered}",
        "建议 {recommendation} 不含可调量 {lever}；可用的是 {offered}。",
    ),
    Wording(
        "invalid_input.outside",
        "{lever}: {value:g} {unit} lies outside {low:g} to {high:g}; stay inside",
        "{lever}：{value:g} {unit} 超出 {low:g} 至 {high:g}；请取范围内的值。",
    ),
    Wording(
        "invalid_input.no_setting",
        "{lever}: {value:g} {unit} is none of its settings, {low:g} to {high:g} in steps of {step:g}; the nearest is"
        " {nearest:g}",
        "{lever}：{value:g} {unit} 不是可取的设定，可取 {low:g} 至 {high:g}，步长 {step:g}；最接近的是 {nearest:g}。",
    ),
    Wording(
        "invalid_input.todays",
        "cell {cell}: the setting is today's; reject the recommendation instead",
        "电解槽 {cell}：该设定与当前相同；请改为拒绝该建议。",
    ),
    Wording(
        "no_feasible_setpoint.path",
        "cell {cell}: no order of daily steps reaches the setting with every limit kept on each day",
        "电解槽 {cell}：没有任何逐日步骤能在每天都满足约束的前提下到达该设定。",
    ),
    Wording(
        "invalid_input.not_judged",
        "cell {cell} cannot be judged: {why}",
        "电解槽 {cell} 无法判断：{why}",
    ),
    Wording(
        "invalid_input.currencies",
        "the open recommendations count in {currencies}; ask for advice by one model's prices",
        "待决建议使用了不同货币 {currencies}；请按同一模型的价格重新请求建议。",
    ),
    Wording(
        "unsafe",
        "the chosen setting fails the guard's check: {worst}",
        "所选设定未通过安全校核：{worst}。",
    ),
    Wording(
        "version_gone",
        "the version that advised is not in operation any more; ask for new advice",
        "给出该建议的模型版本已停用；请重新请求建议。",
    ),
    Wording(
        "settings_gone",
        "the settings of this advice are gone from the ledger; verify it",
        "台账中缺少该建议的设置；请校验台账。",
    ),
    # What the service cannot do now.
    Wording(
        "no_ledger",
        "this service runs without a ledger; nothing is advised",
        "本服务未启用台账；不给出建议。",
    ),
    Wording("not_ready", "no model is served yet", "尚无模型投入使用。"),
    Wording(
        "not_installed.search",
        "recommendations need the search extra: pip install 'superheat[search]'",
        "给出建议需要 search 组件：pip install 'superheat[search]'",
    ),
    Wording("overloaded.full", "the service is full; try again", "服务已满载；请稍后再试。"),
    Wording(
        "overloaded.waiting",
        "too many requests wait for this model; try again",
        "等待该模型的请求过多；请稍后再试。",
    ),
    Wording("unloaded", "the model version was unloaded; ask again", "该模型版本已卸载；请重新请求。"),
    Wording(
        "worker_lost",
        "the worker ended while it computed this request; try again",
        "计算该请求的进程已结束；请重试。",
    ),
    Wording("deadline.answer", "no answer within {seconds:g} s", "{seconds:g} 秒内没有结果。"),
    Wording(
        "not_finite",
        "the model's answer is no finite number; it is withheld",
        "模型结果不是有限数值，不予给出。",
    ),
    Wording(
        "bundle_protocol",
        "the bundle is written in another protocol version",
        "模型包的协议版本不同。",
    ),
    Wording(
        "bundle_foreign",
        "the bundle is not the one asked for, or of another recipe",
        "模型包不是所请求的，或特征配方不同。",
    ),
    Wording("bundle_corrupt", "the bundle is damaged and was not loaded", "模型包已损坏，未加载。"),
    Wording(
        "unavailable",
        "something that the service needs does not answer; nothing was done, try again",
        "服务所依赖的组件没有响应；未执行任何操作，请重试。",
    ),
    Wording(
        "internal",
        "the service failed on this request; give the request_id to its keeper",
        "服务处理该请求时出错；请将 request_id 告知维护人员。",
    ),
)

WORDS: Final[Mapping[str, Wording]] = {wording.code: wording for wording in _ALL}


def code_of(key: str) -> str:
    """Return the code that callers are told for ``key``."""
    return key.partition(".")[0]
